"""Where an evolution starts: checkpoints, damaged ones, and the elites of another run."""

import shutil

import numpy as np
import pytest
from command import SMALL, evolve, refused
from run_files import (
    archive,
    assert_same_archive,
    assert_same_logs,
    copy_of,
    record,
    write_record,
)

from qd_fool.runs.metrics import METRICS, read_metrics


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    """Four of the small run's generations, with checkpoints after 2 and 4; tests only read it."""
    path = tmp_path_factory.mktemp("runs") / "four"
    assert evolve(path, *SMALL, "--generations", 4, "--checkpoint-every", 2) == 0
    return path


def files_of(path):
    return {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_resume_in_pieces_gives_the_same(run_dir, four, tmp_path, capsys):
    path = copy_of(four, tmp_path / "pieces")
    capsys.readouterr()
    assert evolve(path, "--resume", "--generations", 5) == 0
    assert "resuming after generation 4" in capsys.readouterr().err
    # Without checkpoints, as in reference archives, the run continues from its archive.npz.
    shutil.rmtree(path / "checkpoints")
    assert evolve(path, "--resume", "--generations", 6) == 0
    assert "resuming after generation 5" in capsys.readouterr().err
    assert_same_archive(run_dir, path)
    for name in METRICS:
        if name != "seconds":
            np.testing.assert_array_equal(read_metrics(path)[name], read_metrics(run_dir)[name])
    assert_same_logs(run_dir, path)


def test_resuming_a_finished_run_changes_nothing(run_dir, tmp_path):
    path = copy_of(run_dir, tmp_path / "done")
    assert evolve(path, "--resume") == 0
    assert_same_archive(run_dir, path)
    assert list(read_metrics(path)["generation"]) == list(range(7))


def test_a_run_killed_before_its_first_file_can_start_again(tmp_path, capsys):
    path = tmp_path / "early"
    (path / "checkpoints").mkdir(parents=True)
    (path / ".run.partial.json").write_text("{")
    assert evolve(path, *SMALL, "--generations", 0, "--resume") == 0
    assert "nothing to resume" in capsys.readouterr().err


def test_a_refused_resume_leaves_a_longer_run_as_it_was(four, tmp_path, capsys):
    path = copy_of(four, tmp_path / "longer")
    newest = (path / "checkpoints" / "generation_4").rglob("*")
    biggest = max(newest, key=lambda p: p.stat().st_size)
    biggest.write_bytes(b"")  # as if damaged: it must not be cleared away either
    before = files_of(path)
    assert "has done 2 already" in refused(
        capsys, "evolve", "--resume", "--run-dir", path, "--generations", 1
    )
    assert files_of(path) == before


def test_a_cut_checkpoint_falls_back_and_says_so(run_dir, four, tmp_path, capsys):
    path = copy_of(four, tmp_path / "cut")
    newest = path / "checkpoints" / "generation_4" / "state"
    for file in [f for f in newest.rglob("*") if f.is_file()]:
        file.write_bytes(file.read_bytes()[:20])
    capsys.readouterr()
    assert evolve(path, "--resume", "--generations", 6) == 0
    output = capsys.readouterr().err
    assert "checkpoint of generation 4 is damaged" in output
    assert "resuming after generation 2" in output
    assert_same_archive(run_dir, path)


def test_all_checkpoints_damaged_is_refused_and_nothing_lost(four, tmp_path, capsys):
    path = copy_of(four, tmp_path / "lost")
    for file in (path / "checkpoints").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    before = (path / "archive.npz").read_bytes()
    assert "each of its checkpoints is damaged" in refused(
        capsys, "evolve", "--resume", "--run-dir", path
    )
    assert (path / "archive.npz").read_bytes() == before


def test_a_missing_lineage_is_told(run_dir, tmp_path, capsys):
    path = copy_of(run_dir, tmp_path / "missing")
    (path / "lineage.npz").unlink()
    output = refused(capsys, "evolve", "--resume", "--run-dir", path, "--generations", 9)
    assert "lineage.npz is missing" in output


@pytest.mark.parametrize("name", ["lineage.npz", "metrics.csv", "archive.npz", "run.json"])
def test_any_damaged_file_is_one_sentence(run_dir, tmp_path, capsys, name):
    path = copy_of(run_dir, tmp_path / "damaged")
    (path / name).write_bytes(b"\xff\x00,not,this\n" * 9)
    resume = ("evolve", "--resume", "--run-dir", path, "--generations", 9)
    init = ("evolve", "--run-dir", tmp_path / "new", *SMALL, "--init-from", path)
    assert name in refused(capsys, *(init if name == "archive.npz" else resume))


def test_init_from_seeds_a_new_run(run_dir, tmp_path):
    path = tmp_path / "seeded"
    flags = (*SMALL, "--generations", 0, "--seed", 7, "--init-from", run_dir)
    assert evolve(path, *flags) == 0
    seeded, donor = archive(path), archive(run_dir)
    assert np.all(seeded["archive.fitness"] >= donor["archive.fitness"] - 1e-5)
    kept = seeded["archive.id"] < 0
    assert kept.any()
    np.testing.assert_array_equal(seeded["archive.genomes"][kept], donor["archive.genomes"][kept])


def test_parts_of_the_donor_change_nothing(run_dir, tmp_path, monkeypatch):
    """A run of tens of thousands of classes is drawn and scored a part at a time."""
    flags = (*SMALL, "--generations", 0, "--seed", 7, "--init-from", run_dir)
    assert evolve(tmp_path / "whole", *flags) == 0
    monkeypatch.setattr("qd_fool.runs.pictures.AT_ONCE", 3)
    assert evolve(tmp_path / "parts", *flags) == 0
    assert_same_archive(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--seed", 5), "seed is 5, the run has 0"),
        (("--batch-size", 30), "batch-size is 30, the run has 20"),
        (("--model", "lenet-b"), "model is 'lenet-b', the run has 'lenet'"),
        (("--generations", 1), "--generations is 1: the run in"),
    ],
)
def test_resume_with_another_config_names_what_differs(run_dir, capsys, flags, message):
    before = (run_dir / "run.json").read_bytes()
    assert message in refused(capsys, "evolve", "--resume", "--run-dir", run_dir, *flags)
    assert (run_dir / "run.json").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": None}, "config is None, expected a dict"),
        ({"config": {"seed": 1}}, "its config lacks"),
        ({"classes": "ten"}, "classes is 'ten', expected a int"),
    ],
)
def test_a_run_json_with_odd_contents(run_dir, tmp_path, capsys, change, message):
    path = copy_of(run_dir, tmp_path / "odd")
    write_record(path, record(path) | change)
    assert message in refused(capsys, "evolve", "--resume", "--run-dir", path)
