# Each target sets up .venv by itself where it is missing: plain `python3 -m venv` and pip will do.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SEED ?= 0
# With an NVIDIA card, JAX for it; for a TPU say EXTRAS=imagenet,tpu.
EXTRAS ?= imagenet$(if $(shell command -v nvidia-smi 2>/dev/null),$(shell echo ,cuda))
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install run-mnist run-imagenet test check docs notebooks format train-lenet oracle check-faults benchmark benchmark-imagenet benchmark-efficiency benchmark-encodings benchmark-versus reproduce-mnist reproduce-imagenet clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.run: pyproject.toml
	$(if $(wildcard $(BIN)/python),,$(PYTHON) -m venv $(VENV))
	@if command -v uv >/dev/null; then uv pip install --python $(BIN)/python -e .; \
	else $(BIN)/python -m pip install -e .; fi
	@touch $@

$(VENV)/.dev: pyproject.toml
	$(if $(wildcard $(BIN)/python),,$(PYTHON) -m venv $(VENV))
	@if command -v uv >/dev/null; then uv pip install --python $(BIN)/python -e ".[data,dev]"; \
	else $(BIN)/python -m pip install -e ".[data,dev]"; fi
	@touch $@ $(VENV)/.run

$(VENV)/.imagenet: pyproject.toml
	$(if $(wildcard $(BIN)/python),,$(PYTHON) -m venv $(VENV))
	@if command -v uv >/dev/null; then uv pip install --python $(BIN)/python -e ".[$(EXTRAS)]"; \
	else $(BIN)/python -m pip install -e ".[$(EXTRAS)]"; fi
	@touch $@ $(VENV)/.run

$(VENV)/.data: pyproject.toml
	$(if $(wildcard $(BIN)/python),,$(PYTHON) -m venv $(VENV))
	@if command -v uv >/dev/null; then uv pip install --python $(BIN)/python -e ".[data]"; \
	else $(BIN)/python -m pip install -e ".[data]"; fi
	@touch $@ $(VENV)/.run

install: $(VENV)/.imagenet ## set up .venv with what a run needs

# ARGS go to each: give ENCODING with settings of one. With one encoding RUN_DIR is the run's directory; with several, each gets its own below it.
run-mnist: MODEL := $(or $(MODEL),lenet)
run-mnist: ENCODING := $(or $(ENCODING),direct cppn)
run-mnist: GENERATIONS := $(or $(GENERATIONS),200)
run-mnist: $(VENV)/.run ## evolve ten fooling digits against LeNet, with each encoding (MODEL, ENCODING, GENERATIONS, SEED, RUN_DIR, ARGS)
	$(foreach e,$(ENCODING),$(BIN)/qd-fool evolve --model $(MODEL) --encoding $(e) \
		--generations $(GENERATIONS) --seed $(SEED) \
		$(if $(RUN_DIR),--run-dir $(RUN_DIR)$(if $(word 2,$(ENCODING)),/$(e))) $(ARGS) &&) true

# What is not given depends on the machine: see `qd-fool evolve --help`. The same command again goes on with the run.
run-imagenet: MODEL := $(or $(MODEL),efficientnet-lite0)
run-imagenet: ENCODING := $(or $(ENCODING),cppn)
run-imagenet: RUN_DIR := $(or $(RUN_DIR),runs/imagenet-$(MODEL)-$(ENCODING)$(if $(BATCH),-batch$(BATCH))$(if $(CROPS),-crops$(CROPS))-$(SEED))
run-imagenet: $(VENV)/.imagenet ## evolve a fooling image for each ImageNet class (MODEL, ENCODING, GENERATIONS, BATCH, CROPS, SEED, RUN_DIR, ARGS)
	$(BIN)/qd-fool evolve --model $(MODEL) --encoding $(ENCODING) --seed $(SEED) \
		$(if $(GENERATIONS),--generations $(GENERATIONS)) $(if $(BATCH),--batch-size $(BATCH)) \
		$(if $(CROPS),--crops $(CROPS)) --run-dir $(RUN_DIR) --resume $(ARGS)

# Each goes on where it was cut off. ARGS="--encoding both --recipe caffe" for all of it, which takes hours.
reproduce-mnist: OUT := $(or $(OUT),runs/reproduce-mnist)
reproduce-mnist: $(VENV)/.data ## the paper's experiments on MNIST, with a summary; under an hour (OUT, ARGS)
	$(BIN)/qd-fool reproduce mnist --out $(OUT) $(ARGS)

# NETWORKS: NAME or NAME=WEIGHTS, the first of which is fooled. PHOTOS: a folder of <WNID>*.jpg, or a data set of tensorflow-datasets.
reproduce-imagenet: OUT := $(or $(OUT),runs/reproduce-imagenet)
reproduce-imagenet: BUDGET := $(or $(BUDGET),40000)
reproduce-imagenet: $(VENV)/.imagenet ## those on ImageNet, BUDGET evaluations each (BUDGET, NETWORKS, PHOTOS, OUT, ARGS)
	$(BIN)/qd-fool reproduce imagenet --budget $(BUDGET) --out $(OUT) \
		$(if $(NETWORKS),--networks $(NETWORKS)) $(if $(PHOTOS),--photos $(PHOTOS)) $(ARGS)

test: $(VENV)/.dev ## run the tests, with coverage (ARGS for pytest)
	$(BIN)/python -m pytest -n 2 --dist loadscope --cov --cov-report=term $(ARGS)

check: $(VENV)/.dev ## lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: export NO_MKDOCS_2_WARNING := 1
docs: export JAX_PLATFORMS := cpu
docs: $(VENV)/.dev ## build the documentation into build/docs, warnings as errors; open index.html there
	$(BIN)/mkdocs build --strict --config-file docs/mkdocs.yml

notebooks: NOTEBOOKS := $(or $(NOTEBOOKS),$(wildcard archives/*.ipynb))
notebooks: $(VENV)/.dev ## execute the notebooks of archives/ anew, in place; some minutes (NOTEBOOKS, ARGS="--set NAME=VALUE")
	$(BIN)/python tests/run_notebooks.py $(NOTEBOOKS) $(ARGS)

format: $(VENV)/.dev ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

train-lenet: $(VENV)/.dev ## train the two shipped networks anew, into build/ (needs MNIST: see README)
	@mkdir -p build
	$(BIN)/qd-fool train --seed 0 --out build/lenet.safetensors
	$(BIN)/qd-fool train --seed 1 --out build/lenet-b.safetensors

oracle: $(VENV)/.dev ## make the fixtures of tests/fixtures anew, with PyTorch (a large download)
	$(BIN)/python -m pip install "torch>=2.5" torchvision efficientnet-lite-pytorch
	$(BIN)/python tests/make_oracle.py

check-faults: $(VENV)/.dev ## kill a run at 20 random moments; each must resume to the same bits
	$(BIN)/python benchmarks/check_faults.py --kills 20 $(ARGS)
	$(BIN)/python benchmarks/check_faults.py --kills 20 --encoding cppn --table check_faults_cppn $(ARGS)

benchmark: $(VENV)/.dev ## the tables of benchmarks/ (about twenty minutes; ARGS="--weights FILE" for other weights)
	$(BIN)/python benchmarks/lenet_forward.py
	$(BIN)/python benchmarks/overhead.py $(ARGS)
	$(BIN)/python benchmarks/overhead.py --encoding cppn --evolved 200 --table overhead_cppn $(ARGS)
	$(BIN)/python benchmarks/stages.py $(ARGS)
	$(BIN)/python benchmarks/cppn_render.py
	$(BIN)/python benchmarks/cppn_exactness.py
	$(BIN)/python benchmarks/mnist_cppn.py $(ARGS)
	$(BIN)/python benchmarks/mnist_direct.py $(ARGS)
	$(BIN)/python benchmarks/ascent_speed.py
	$(BIN)/python benchmarks/mnist_direct.py --seeds 20 --settings "paper: 8-bit genes" --table mnist_direct_seeds $(ARGS)

# IMAGENET: a folder with imagenet_sample/<WNID>.jpg and weights/squeezenet_*.npz
benchmark-imagenet: $(VENV)/.dev ## the tables about ImageNet's networks, beside PyTorch (a large download; IMAGENET=DIR)
	$(BIN)/python -m pip install "torch>=2.5" torchvision efficientnet-lite-pytorch
	$(BIN)/python benchmarks/imagenet_forward.py
	$(BIN)/python benchmarks/imagenet_exactness.py --images $(IMAGENET)/imagenet_sample --weights $(IMAGENET)/weights
	$(BIN)/python benchmarks/imagenet_overhead.py --weights $(IMAGENET)/weights/squeezenet_v1.1_torchvision_fp16.npz
	$(BIN)/python benchmarks/ascent.py --weights $(IMAGENET)/weights/squeezenet_v1.1_torchvision_fp16.npz
	$(BIN)/python benchmarks/polish.py --weights $(IMAGENET)/weights/squeezenet_v1.1_torchvision_fp16.npz
	$(MAKE) run-imagenet RUN_DIR=build/imagenet
	$(BIN)/python benchmarks/imagenet_exactness.py --weights $(IMAGENET)/weights --run build/imagenet

# Each run is a line of benchmarks/efficiency.jsonl and is not repeated: without that file all is run anew, which takes hours.
EFFICIENCY := $(BIN)/python benchmarks/efficiency.py
benchmark-efficiency: $(VENV)/.dev ## which settings find more an evaluation: screening, finals, table (IMAGENET=DIR)
	$(EFFICIENCY) mnist-direct --evaluations 24000
	$(EFFICIENCY) mnist-direct --evaluations 40000 --seeds 0 1 2 3 4 --settings paper "batch 20, half by gradient"
	$(EFFICIENCY) mnist-cppn --evaluations 40000
	$(EFFICIENCY) mnist-cppn --evaluations 100000 --seeds 0 1 2 3 4 --settings paper "batch 20, normalized x 4, crossover .3" "batch 20, normalized x 2, crossover .6"
	$(EFFICIENCY) imagenet-cppn --weights $(IMAGENET)/weights/squeezenet_v1.1_torchvision_fp16.npz
	$(EFFICIENCY) imagenet-cppn --evaluations 40000 --seeds 0 1 2 --settings paper "the same, hsv, young parents" --weights $(IMAGENET)/weights/squeezenet_v1.1_torchvision_fp16.npz
	$(EFFICIENCY) imagenet-direct --evaluations 60000 --settings gradient --weights $(IMAGENET)/weights/squeezenet_v1.1_torchvision_fp16.npz
	$(EFFICIENCY) --table

# Likewise compare_encodings.jsonl and versus.jsonl. With IMAGENET=DIR the second network is SqueezeNet 1.1.
benchmark-encodings: $(VENV)/.dev ## encodings and ways to vary them, at equal budgets: MNIST, then ImageNet (an hour; IMAGENET=DIR)
	$(BIN)/python benchmarks/compare_encodings.py lenet
	$(BIN)/python benchmarks/compare_encodings.py $(if $(IMAGENET),squeezenet1.1 --weights $(IMAGENET)/weights/squeezenet_v1.1_torchvision_fp16.npz,efficientnet-lite0)

benchmark-versus: $(VENV)/.dev ## the same MNIST job on qd_fool, QDax and pyribs (installs those two; ARGS)
	$(BIN)/python -m pip install -e ".[versus]"
	$(BIN)/python benchmarks/versus.py $(ARGS)

clean: ## remove build products, not runs
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .coverage
