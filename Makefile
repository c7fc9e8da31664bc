# Each target sets up .venv by itself if it is missing: plain `python3 -m venv` and pip are enough.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SEED ?= 0
# On a machine with an NVIDIA card, EXTRAS adds JAX for it. For a TPU, give EXTRAS=imagenet,tpu.
EXTRAS ?= imagenet$(if $(shell command -v nvidia-smi 2>/dev/null),$(shell echo ,cuda))
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install run-mnist run-imagenet test test-all check check-wheel docs notebooks format train-lenet oracle check-faults check-stops fuzz benchmark benchmark-imagenet benchmark-efficiency benchmark-encodings benchmark-versus reproduce-mnist reproduce-imagenet clean

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

install: $(VENV)/.imagenet ## set up .venv with everything that a run needs

# ARGS go to every encoding; for a setting of one encoding, give ENCODING too. With one encoding, RUN_DIR is the run directory; with several, each gets a directory below RUN_DIR.
run-mnist: MODEL := $(or $(MODEL),lenet)
run-mnist: ENCODING := $(or $(ENCODING),direct cppn)
run-mnist: GENERATIONS := $(or $(GENERATIONS),200)
run-mnist: $(VENV)/.run ## evolve ten fooling digits against LeNet, with each encoding (MODEL, ENCODING, GENERATIONS, SEED, RUN_DIR, ARGS)
	$(foreach e,$(ENCODING),$(BIN)/qd-fool evolve --model $(MODEL) --encoding $(e) \
		--generations $(GENERATIONS) --seed $(SEED) \
		$(if $(RUN_DIR),--run-dir $(RUN_DIR)$(if $(word 2,$(ENCODING)),/$(e))) $(ARGS) &&) true

# PRESET: fast finds most per evaluation and is the default without an accelerator; paper is the original's search, and the default with one.
# The same command again continues the run. A run without the preset in its name, from an earlier version, continues with its own settings.
ASKED := $(PRESET)
run-imagenet: MODEL := $(or $(MODEL),efficientnet-lite0)
run-imagenet: ENCODING := $(or $(ENCODING),cppn)
run-imagenet: PRESET := $(or $(PRESET),$(if $(or $(shell command -v nvidia-smi 2>/dev/null),$(findstring tpu,$(EXTRAS))),paper,fast))
run-imagenet: REST := $(if $(BATCH),-batch$(BATCH))$(if $(CROPS),-crops$(CROPS))-$(SEED)
run-imagenet: EARLIER := $(if $(ASKED),,runs/imagenet-$(MODEL)-$(ENCODING)$(REST))
run-imagenet: RUN_DIR := $(or $(RUN_DIR),$(if $(and $(EARLIER),$(wildcard $(EARLIER)/run.json)),$(EARLIER),runs/imagenet-$(MODEL)-$(ENCODING)-$(PRESET)$(REST)))
run-imagenet: $(VENV)/.imagenet ## evolve one fooling image per ImageNet class (MODEL, ENCODING, PRESET=fast|paper, GENERATIONS, BATCH, CROPS, SEED, RUN_DIR, ARGS)
	$(BIN)/qd-fool evolve --model $(MODEL) --encoding $(ENCODING) --seed $(SEED) \
		$(if $(wildcard $(RUN_DIR)/run.json),,--preset $(PRESET)) \
		$(if $(GENERATIONS),--generations $(GENERATIONS)) $(if $(BATCH),--batch-size $(BATCH)) \
		$(if $(CROPS),--crops $(CROPS)) --run-dir $(RUN_DIR) --resume $(ARGS)

# Both targets continue where they were interrupted. ARGS="--encoding both --recipe caffe" runs everything, which takes hours.
reproduce-mnist: OUT := $(or $(OUT),runs/reproduce-mnist)
reproduce-mnist: $(VENV)/.data ## run the paper's experiments on MNIST and write a summary; under an hour (OUT, ARGS)
	$(BIN)/qd-fool reproduce mnist --out $(OUT) $(ARGS)

# NETWORKS: NAME or NAME=WEIGHTS; pictures are evolved against the first. PHOTOS: a folder of <WNID>*.jpg, or a data set of tensorflow-datasets.
reproduce-imagenet: OUT := $(or $(OUT),runs/reproduce-imagenet)
reproduce-imagenet: BUDGET := $(or $(BUDGET),40000)
reproduce-imagenet: $(VENV)/.imagenet ## run the paper's experiments on ImageNet, BUDGET evaluations each (BUDGET, NETWORKS, PHOTOS, OUT, ARGS)
	$(BIN)/qd-fool reproduce imagenet --budget $(BUDGET) --out $(OUT) \
		$(if $(NETWORKS),--networks $(NETWORKS)) $(if $(PHOTOS),--photos $(PHOTOS)) $(ARGS)

# Counting covered lines takes about a third of the time of all tests.
test: $(VENV)/.dev ## run the tests; some minutes (COV=1 reports coverage, ARGS for pytest)
	$(BIN)/python -m pytest -n 2 --dist loadscope $(if $(COV),--cov --cov-report=term) $(ARGS)

test-all: $(VENV)/.dev ## run the long tests, too: more samples, more networks, whole notebooks (ARGS for pytest)
	$(BIN)/python -m pytest -n 2 --dist loadscope --cov --cov-report=term -m "" $(ARGS)

check: $(VENV)/.dev ## check lint, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check-wheel: $(VENV)/.dev ## build the wheel, install it into an empty environment, run it and open its page
	$(BIN)/python tests/check_wheel.py

docs: export NO_MKDOCS_2_WARNING := 1
docs: export JAX_PLATFORMS := cpu
docs: $(VENV)/.dev ## build the documentation into build/docs, warnings as errors; open index.html there
	$(BIN)/mkdocs build --strict --config-file docs/mkdocs.yml

notebooks: NOTEBOOKS := $(or $(NOTEBOOKS),$(wildcard archives/*.ipynb))
notebooks: $(VENV)/.dev ## execute the notebooks of archives/ again, in place; some minutes (NOTEBOOKS, ARGS="--set NAME=VALUE")
	$(BIN)/python tests/run_notebooks.py $(NOTEBOOKS) $(ARGS)

format: $(VENV)/.dev ## format the code and fix lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

train-lenet: $(VENV)/.dev ## train the two shipped networks again, into build/ (needs MNIST: see docs/pages/networks.md)
	@mkdir -p build
	$(BIN)/qd-fool train --seed 0 --out build/lenet.safetensors
	$(BIN)/qd-fool train --seed 1 --out build/lenet-b.safetensors

oracle: $(VENV)/.dev ## write the fixtures of tests/fixtures again, with PyTorch (a large download)
	$(BIN)/python -m pip install "torch>=2.5" torchvision efficientnet-lite-pytorch
	$(BIN)/python tests/make_oracle.py

# Each run that is stopped is a line of benchmarks/{kills,signals,full_disk}.jsonl and is not repeated.
check-stops: $(VENV)/.dev ## kill runs of every kind, send signals, fill disks; all must resume to the same bits (hours)
	$(BIN)/python benchmarks/kills.py
	$(BIN)/python benchmarks/signals.py
	$(BIN)/python benchmarks/full_disk.py

# A finding is written to tests/fixtures/fuzz, which `make test` reads.
fuzz: MINUTES := $(or $(MINUTES),10)
fuzz: $(VENV)/.dev ## feed changed files to every reader; only sentences may come out (MINUTES, ARGS="--readers npz pth")
	JAX_PLATFORMS=cpu $(BIN)/python benchmarks/fuzz.py --minutes $(MINUTES) $(ARGS)

check-faults: $(VENV)/.dev ## kill a run at 20 random moments; each run must resume to the same bits
	$(BIN)/python benchmarks/check_faults.py --kills 20 $(ARGS)
	$(BIN)/python benchmarks/check_faults.py --kills 20 --encoding cppn --table check_faults_cppn $(ARGS)

benchmark: $(VENV)/.dev ## write the tables of benchmarks/ (about twenty minutes; ARGS="--weights FILE" for other weights)
	$(BIN)/python benchmarks/lenet_forward.py
	$(BIN)/python benchmarks/overhead.py $(ARGS)
	$(BIN)/python benchmarks/overhead.py --encoding cppn --evolved 200 --table overhead_cppn $(ARGS)
	$(BIN)/python benchmarks/stages.py $(ARGS)
	$(BIN)/python benchmarks/cppn_render.py
	$(BIN)/python benchmarks/cppn_exactness.py
	$(BIN)/python benchmarks/mnist_cppn.py $(ARGS)
	$(BIN)/python benchmarks/mnist_direct.py $(ARGS)
	$(BIN)/python benchmarks/ascent_speed.py
	$(BIN)/python benchmarks/host_speed.py --rounds 5
	$(BIN)/python benchmarks/mnist_direct.py --seeds 20 --settings "paper: 8-bit genes" --table mnist_direct_seeds $(ARGS)

# IMAGENET: a folder with imagenet_sample/<WNID>.jpg and weights/squeezenet_*.npz
benchmark-imagenet: $(VENV)/.dev ## write the tables about ImageNet's networks, beside PyTorch (a large download; IMAGENET=DIR)
	$(BIN)/python -m pip install "torch>=2.5" torchvision efficientnet-lite-pytorch
	$(BIN)/python benchmarks/imagenet_forward.py
	$(BIN)/python benchmarks/imagenet_exactness.py --images $(IMAGENET)/imagenet_sample --weights $(IMAGENET)/weights
	$(BIN)/python benchmarks/imagenet_overhead.py --weights $(IMAGENET)/weights/squeezenet_v1.1_torchvision_fp16.npz
	$(BIN)/python benchmarks/ascent.py --weights $(IMAGENET)/weights/squeezenet_v1.1_torchvision_fp16.npz
	$(BIN)/python benchmarks/polish.py --weights $(IMAGENET)/weights/squeezenet_v1.1_torchvision_fp16.npz
	$(MAKE) run-imagenet RUN_DIR=build/imagenet
	$(BIN)/python benchmarks/imagenet_exactness.py --weights $(IMAGENET)/weights --run build/imagenet

# Each run is one line of benchmarks/efficiency.jsonl and is not repeated. Without that file everything runs again, which takes hours.
EFFICIENCY := $(BIN)/python benchmarks/efficiency.py
SQUEEZENET := $(IMAGENET)/weights/squeezenet_v1.1_torchvision_fp16.npz
FINALISTS := "the same, hsv, young parents, tuned in the last quarter" "tuned, functions redrawn at .01" "tuned, functions redrawn at .01, unsure cells first"
benchmark-efficiency: $(VENV)/.dev ## compare settings by confidence gained per evaluation: screening, finals, table (IMAGENET=DIR)
	$(EFFICIENCY) mnist-direct --evaluations 24000
	$(EFFICIENCY) mnist-direct --evaluations 40000 --seeds 0 1 2 3 4 --settings paper "batch 20, half by gradient"
	$(EFFICIENCY) mnist-cppn --evaluations 40000
	$(EFFICIENCY) mnist-cppn --evaluations 100000 --seeds 0 1 2 3 4 --settings paper "batch 20, normalized x 4, crossover .3" "batch 20, normalized x 2, crossover .6"
	$(EFFICIENCY) imagenet-cppn --weights $(SQUEEZENET)
	$(EFFICIENCY) imagenet-cppn --evaluations 40000 --weights $(SQUEEZENET)
	$(EFFICIENCY) imagenet-cppn --evaluations 40000 --seeds 0 1 2 --settings paper "the same, hsv, young parents" $(FINALISTS) --weights $(SQUEEZENET)
	$(EFFICIENCY) imagenet-cppn --evaluations 100000 --seeds 0 1 2 --settings $(FINALISTS) --weights $(SQUEEZENET)
	$(EFFICIENCY) lite0-cppn --evaluations 100000 --seeds 0 1 2 --settings $(FINALISTS)
	$(EFFICIENCY) imagenet-direct --evaluations 20000 --weights $(SQUEEZENET)
	$(EFFICIENCY) imagenet-direct --evaluations 60000 --settings gradient --weights $(SQUEEZENET)
	$(EFFICIENCY) --table

# The runs in compare_encodings.jsonl and versus.jsonl are not repeated either. With IMAGENET=DIR the second network is SqueezeNet 1.1.
benchmark-encodings: $(VENV)/.dev ## compare encodings and variation at equal budgets: MNIST, then ImageNet (an hour; IMAGENET=DIR)
	$(BIN)/python benchmarks/compare_encodings.py lenet
	$(BIN)/python benchmarks/compare_encodings.py $(if $(IMAGENET),squeezenet1.1 --weights $(IMAGENET)/weights/squeezenet_v1.1_torchvision_fp16.npz,efficientnet-lite0)

benchmark-versus: $(VENV)/.dev ## run one MNIST job on qd_fool, QDax and pyribs (installs QDax and pyribs; ARGS)
	$(BIN)/python -m pip install -e ".[versus]"
	$(BIN)/python benchmarks/versus.py $(ARGS)

clean: ## remove build products; keep runs
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .coverage
