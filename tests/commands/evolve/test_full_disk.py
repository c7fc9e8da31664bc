"""A disk that takes no more: one sentence, nothing lost, and the same bits after making room.

A limit on the size of files stands in for a full disk. `benchmarks/full_disk.py` fills real ones.
"""

import contextlib
import resource

import jax
import pytest
from command import SMALL, evolve, refused
from run_files import assert_same_archive, assert_same_logs, copy_of

from qd_fool.cli import main
from qd_fool.errors import DiskError, UserError
from qd_fool.files import disk_problem, replacing, writing


@contextlib.contextmanager
def largest_file(size):
    """No file gets larger than `size` bytes: a write beyond fails, as on a full disk.

    JAX's cache of compiled programs is the tests' own: nothing is written to it meanwhile.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    least = jax.config.jax_persistent_cache_min_compile_time_secs
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 3600)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Four of the small run's generations."""
    path = tmp_path_factory.mktemp("runs") / "four"
    assert evolve(path, *SMALL, "--generations", 4, "--checkpoint-every", 2) == 0
    return path


# The first limit hits a log, the second a checkpoint, the third the page.
@pytest.mark.parametrize(
    ("size", "file"),
    [
        pytest.param(500, "metrics.csv", marks=pytest.mark.long),
        (3000, "checkpoints"),
        pytest.param(40_000, "report.html", marks=pytest.mark.long),
    ],
)
def test_a_run_whose_disk_fills_up_continues_to_the_same_bits(
    run_dir, four, tmp_path, capsys, size, file
):
    path = copy_of(four, tmp_path / "full")
    with largest_file(size):
        said = refused(capsys, "evolve", "--resume", "--generations", 6, "--run-dir", path)
    assert f"{file}: cannot be written (File too large); after making room, continue" in said
    assert not [p for p in path.rglob("*") if "partial" in p.name or "tmp" in p.name]
    assert evolve(path, "--resume", "--generations", 6) == 0
    assert_same_archive(run_dir, path)
    assert_same_logs(run_dir, path)


@pytest.mark.parametrize(
    "command",
    [
        ("figure", "RUN", "--out", "OUT/figure.png"),
        ("export", "RUN", "--format", "sheet"),
        ("report", "RUN", "--out", "OUT/page.html"),
        ("transfer", "RUN", "--to", "lenet-b", "--out", "OUT/transfer"),
    ],
    ids=lambda command: command[0],
)
def test_other_commands_leave_nothing_behind(run_dir, tmp_path, capsys, command):
    path = copy_of(run_dir, tmp_path / "run")
    before = sorted(path.rglob("*"))
    words = [w.replace("RUN", str(path)).replace("OUT", str(tmp_path)) for w in command]
    with largest_file(200):
        assert "cannot be written (File too large)" in refused(capsys, *words)
    assert sorted(path.rglob("*")) == before
    assert not [p for p in tmp_path.rglob("*") if "partial" in p.name]


def test_only_the_errors_of_a_disk_are_called_so(tmp_path):
    text = "RESOURCE_EXHAUSTED: Failed to write 5 bytes: No space left on device [os_error_code=28]"
    with (
        pytest.raises(DiskError, match=r"x: cannot be written \(No space left on device\)"),
        writing(tmp_path / "x"),
    ):
        raise ValueError("saving") from ValueError(text)
    with pytest.raises(KeyError), writing(tmp_path / "x"):
        raise KeyError("x")
    with pytest.raises(UserError, match=r"^No space left"), writing(tmp_path / "x"):
        raise UserError("No space left on device is what the file says")
    assert disk_problem(OSError(2, "No such file")) is None

    def half(path):
        with replacing(path) as partial:
            partial.write_bytes(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(DiskError):
        half(tmp_path / "y")
    assert not list(tmp_path.iterdir())


def test_an_error_of_the_system_names_the_file(tmp_path, capsys, monkeypatch):
    def fail(*_, **__):
        raise PermissionError(13, "Permission denied", "/some/file")

    monkeypatch.setattr("qd_fool.commands.figure.load_archive", fail)
    assert main(["figure", str(tmp_path), "--out", str(tmp_path / "f.png")]) == 2
    assert capsys.readouterr().err == "qd-fool: /some/file: Permission denied\n"
