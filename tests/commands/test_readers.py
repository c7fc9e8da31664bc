"""Commands that read a run: no lock, no right to write, and a run that is running or lacks PNGs."""

import json
import shutil

import numpy as np
import pytest
from command import SMALL, evolve, refused
from paths import ARCHIVES
from run_files import archive, assert_same_archive, copy_of, record, write_record

import qd_fool
from qd_fool.cli import main
from qd_fool.runs.directory import sole_user
from qd_fool.runs.metrics import read_metrics
from qd_fool.runs.snapshot import readable

RESULTS = ("archive.npz", "elites.csv", "genomes.npz", "report.html", "contact_sheet.png")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small run with checkpoints after generations 2, 4 and 6; the newest two are kept."""
    path = tmp_path_factory.mktemp("runs") / "small"
    assert evolve(path, *SMALL, "--checkpoint-every", 2) == 0
    return path


@pytest.fixture
def running(finished, tmp_path):
    """The run as it was a moment after its checkpoint of generation 4, with newer logs."""
    path = copy_of(finished, tmp_path / "running")
    for name in RESULTS:
        (path / name).unlink()
    for name in ("elites", "checkpoints/generation_6"):
        shutil.rmtree(path / name)
    old = record(path)
    ended = ("generations_done", "evaluations", "seconds", "png_rescored_max_difference")
    write_record(path, {k: v for k, v in old.items() if k not in ended} | {"status": "running"})
    return path


def times(folder):
    """Times of change of a folder and all that is in it. They show any write, even by root."""
    return {p: p.stat().st_mtime_ns for p in (folder, *folder.rglob("*"))}


def readers(run, out):
    """Each command that reads a run, and the file that it writes elsewhere."""
    out.mkdir(exist_ok=True)
    return {
        "report": ("report", run, "--out", out / "page.html"),
        "compare": ("report", run, ARCHIVES / "mnist_direct", "--out", out / "two.html"),
        "render": ("render", run, "--class", 1, "--nearest", "--size", 56, "--out", out / "1.png"),
        "figure": ("figure", run, "--out", out / "figure.png"),
        "film": ("film", run, "--class", 1, "--frames", 2, "--out", out / "1.webp"),
        "sheet": ("export", run, "--format", "sheet", "--out", out / "sheet"),
        "page": ("export", run, "--format", "report", "--out", out / "page"),
        "all": ("export", run, "--out", out / "all"),
        "transfer": ("transfer", run, "--to", "lenet-b", "--out", out / "transfer"),
        "init": ("evolve", "--init-from", run, *SMALL[2:], "--generations", 0,
                 "--run-dir", out / "evolved"),
        "from": ("ascend", "--from", run, "--classes", "1", "--iterations", 2, "--chunk", 5,
                 "--run-dir", out / "ascent"),
    }  # fmt: skip


QUICK = ("report", "render", "sheet", "figure")


def test_readers_of_a_running_run_take_no_lock_and_change_nothing(running, tmp_path, capsys):
    check_readers(running, tmp_path, capsys, QUICK)
    page = (tmp_path / "out" / "page.html").read_text()
    assert "the page shows it after generation 4" in page
    assert "data-single-file" in page


@pytest.mark.long
def test_all_other_readers_do_so_too(running, tmp_path, capsys):
    names = set(readers(running, tmp_path / "out")) - set(QUICK)
    check_readers(running, tmp_path, capsys, sorted(names))


def check_readers(running, tmp_path, capsys, names):
    with sole_user(running):
        before = times(running)
        for name in names:
            words = readers(running, tmp_path / "out")[name]
            capsys.readouterr()
            assert main(list(map(str, words))) == 0, name
            said = capsys.readouterr().err
            if name != "init":  # which prints nothing about the other run
                assert "status is running; this is its state after generation 4" in said, name
        assert times(running) == before


def test_a_running_run_is_exported_as_it_was(running, finished, tmp_path):
    out = tmp_path / "out"
    assert main(["export", str(running), "--out", str(out)]) == 0
    short = tmp_path / "short"
    assert evolve(short, "--generations", 4, *SMALL[2:], "--checkpoint-every", 2) == 0
    assert_same_archive(out, short)
    assert (out / "elites.csv").read_text() == (short / "elites.csv").read_text()
    assert (record(out)["generations_done"], record(out)["evaluations"]) == (4, 100)
    assert list(read_metrics(out)["generation"]) == [0, 1, 2, 3, 4]
    loaded = qd_fool.load_archive(running)
    assert (loaded.generation, loaded.metrics["generation"][-1]) == (4, 4)
    assert loaded.events["generation"].max() <= 4
    np.testing.assert_array_equal(loaded.archive.fitness, archive(short)["archive.fitness"])
    assert qd_fool.load_archive(finished).words == ""


def test_parts_of_a_running_run_change_nothing(running, tmp_path, monkeypatch):
    pictures = {}
    for at_once in (1000, 3):
        monkeypatch.setattr("qd_fool.runs.pictures.AT_ONCE", at_once)
        with readable(running) as source:
            found = sorted((source.path / "elites").iterdir())
            pictures[at_once] = {path.name: path.read_bytes() for path in found}
    assert len(pictures[3]) == 10
    assert pictures[3] == pictures[1000]


def test_the_page_of_a_running_run_lies_beside_its_later_one(running, capsys):
    with sole_user(running):
        assert main(["report", str(running)]) == 0
    said = capsys.readouterr().err
    assert "is in use by another process" in said
    assert "report_so_far.html" in said
    assert not (running / "report.html").exists()


def test_a_run_that_has_saved_nothing_yet_is_one_sentence(running, tmp_path, capsys):
    shutil.rmtree(running / "checkpoints")
    for name in ("report", "figure", "transfer"):
        words = readers(running, tmp_path / "out")[name]
        assert "archive.npz" in refused(capsys, *words), name


def test_a_directory_that_cannot_be_written_to_is_one_sentence(finished, capsys, monkeypatch):
    def refuse(self):
        raise OSError(30, "Read-only file system", str(self.lock_file))

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    for command in (("report", finished), ("export", finished)):
        assert "cannot be written to (Read-only file system)" in refused(capsys, *command)


def test_every_reader_takes_an_archive_without_pngs(tmp_path, capsys):
    """Two files are enough: `load_archive` needs no more."""
    run = tmp_path / "run"
    run.mkdir()
    for name in ("run.json", "archive.npz"):
        shutil.copy(ARCHIVES / "mnist_direct" / name, run / name)
    before, out = times(run), tmp_path / "out"
    words = readers(run, out)
    for name in ("figure", "transfer"):
        assert main(list(map(str, words[name]))) == 0, name
    assert times(run) == before
    figures = json.loads((out / "transfer" / "transfer.json").read_text())
    assert figures["images"] == 10
    with readable(run) as source:
        for png in (ARCHIVES / "mnist_direct" / "elites").iterdir():
            assert (source.path / "elites" / png.name).read_bytes() == png.read_bytes()
