"""`qd-fool export`: a run's files again, of evolutions and ascents, of older versions, too."""

import json
import shutil

import numpy as np
import pytest
from command import SMALL, evolve, refused
from paths import ARCHIVES
from run_files import archive, assert_same_archive, copy_of, record, rows_of, write_record

from qd_fool.cli import main


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A small evolution; tests copy it."""
    path = tmp_path_factory.mktemp("runs") / "small"
    assert evolve(path, *SMALL) == 0
    return path


def test_archives_of_older_versions_are_read(run_dir, tmp_path):
    """Without the settings and counters that came later."""
    old = copy_of(run_dir, tmp_path / "old")
    run = record(old)
    first = ("model", "encoding", "seed", "generations", "batch_size", "chunk", "image_size")
    first += ("crops", "genes", "mutation_rate", "crossover_rate", "archive_rule")
    run["config"] = {name: run["config"][name] for name in (*first, "weights_sha256")}
    del run["kind"], run["imports"]
    write_record(old, run)
    arrays = archive(old)
    del arrays["refused"]
    np.savez(old / "archive.npz", **arrays)
    assert evolve(tmp_path / "new", *SMALL, "--init-from", old) == 0
    shutil.rmtree(old / "checkpoints")
    assert main(["export", str(old)]) == 0
    assert_same_archive(old, run_dir)
    exported = record(old)
    for name in ("status", "generations_done", "evaluations"):
        assert exported[name] == record(run_dir)[name]


@pytest.mark.parametrize("name", ["mnist_direct", "mnist_ascent"])
def test_reference_archives_are_exported(tmp_path, name):
    path = copy_of(ARCHIVES / name, tmp_path / name)
    assert main(["export", str(path)]) == 0
    assert_same_archive(ARCHIVES / name, path)
    # Scored again on another kind of machine, the top classes' confidences may round differently.
    before, after = (rows_of(run, "elites.csv") for run in (ARCHIVES / name, path))
    assert [row | {"top5": ""} for row in before] == [row | {"top5": ""} for row in after]
    old, new = record(ARCHIVES / name), record(path)
    del old["png_rescored_max_difference"], new["png_rescored_max_difference"]
    assert new == old


def test_a_paused_run_stays_paused(run_dir, tmp_path):
    path = copy_of(run_dir, tmp_path / "paused")
    write_record(path, record(path) | {"status": "paused", "generations": 9})
    assert main(["export", str(path)]) == 0
    assert (record(path)["status"], record(path)["generations_done"]) == ("paused", 6)


def test_other_weights_are_refused(run_dir, tmp_path, capsys):
    path = copy_of(run_dir, tmp_path / "other")
    run = record(path)
    run["config"]["weights_sha256"] = "0" * 64
    write_record(path, run)
    before = (path / "elites.csv").read_bytes()
    assert "weights-sha256" in refused(capsys, "export", path)
    assert (path / "elites.csv").read_bytes() == before


def test_a_missing_or_damaged_file_is_told(run_dir, tmp_path, capsys):
    path = copy_of(run_dir, tmp_path / "missing")
    (path / "elites" / "0003_3.png").unlink()
    assert main(["export", str(path), "--format", "sheet"]) == 0  # the picture is drawn
    (path / "archive.npz").unlink()
    shutil.rmtree(path / "checkpoints")
    assert "0003_3.png" in refused(capsys, "export", path, "--format", "sheet")
    (path / "elites.csv").write_bytes(b"\xff\x00,not,this\n" * 9)
    assert "elites.csv" in refused(capsys, "export", path, "--format", "report")
    run = json.loads((path / "run.json").read_text())
    for name, value in (("crops", "1"), ("model", 3), ("also", "lenet"), ("weights", [])):
        write_record(path, run | {"config": run["config"] | {name: value}})
        assert f"{name} is {value!r}, expected" in refused(capsys, "export", path)
    write_record(path, run | {"kind": "retraining"})
    assert "is of kind retraining: expected an evolution" in refused(capsys, "export", path)
