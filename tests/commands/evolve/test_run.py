"""`qd-fool evolve` from its first to its last sentence, and what it refuses at the door."""

import pytest
from command import SMALL, evolve, refused
from PIL import Image
from run_files import assert_same_archive, record

from qd_fool.cli import main
from qd_fool.runs.directory import sole_user
from qd_fool.runs.metrics import read_metrics


def test_the_run_directory_holds_what_it_should(run_dir):
    names = {path.name for path in run_dir.iterdir() if not path.name.startswith(".")}
    assert names == {
        "run.json",
        "metrics.csv",
        "elites.csv",
        "lineage.npz",
        "genomes.npz",
        "elites",
        "archive.npz",
        "checkpoints",
        "report.html",
        "contact_sheet.png",
    }
    run = record(run_dir)
    assert (run["status"], run["kind"]) == ("finished", "evolution")
    assert (run["generations_done"], run["evaluations"]) == (6, 140)
    assert run["config"]["chunk"] == 10
    assert len(run["config"]["weights_sha256"]) == 64


def test_same_archive_for_2_and_4_devices(run_dir, tmp_path):
    """1, too: `map_elites/test_segments.py`."""
    assert evolve(tmp_path / "four", *SMALL[:-1], 4) == 0
    assert_same_archive(run_dir, tmp_path / "four")


def test_larger_pictures_with_ten_crops_and_every_option(tmp_path):
    path = tmp_path / "options"
    flags = ("--archive-rule", "argmax", "--genes", "float", "--crossover-rate", 0.5)
    crops = ("--image-size", 32, "--crops", 10)
    assert evolve(path, *SMALL, *flags, *crops, "--log-every", 3) == 0
    assert list(read_metrics(path)["generation"]) == [0, 3, 6]
    with Image.open(next((path / "elites").iterdir())) as image:
        assert image.size == (32, 32)
    assert record(path)["png_rescored_max_difference"] <= 1e-5


def test_a_run_in_use_is_refused(run_dir, tmp_path, capsys):
    with sole_user(run_dir):
        for command in (("evolve", "--resume", "--run-dir", run_dir), ("export", run_dir)):
            assert "is in use by another process" in refused(capsys, *command)
        # Another directory to write needs no lock.
        out = tmp_path / "out"
        assert main(["export", str(run_dir), "--format", "sheet", "--out", str(out)]) == 0
    assert (out / "contact_sheet.png").exists()


def test_a_run_directory_that_is_not_empty_is_refused_untouched(run_dir, capsys):
    before = {p: p.stat().st_mtime_ns for p in run_dir.rglob("*")}
    output = refused(capsys, "evolve", "--run-dir", run_dir, *SMALL)
    assert "exists and is not empty: pass --resume" in output
    assert {p: p.stat().st_mtime_ns for p in run_dir.rglob("*")} == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--model", "resnet"), "unknown model 'resnet': expected one of lenet"),
        (("--encoding", "fourier"), "unknown encoding 'fourier': expected one of cppn, direct"),
        (("--batch-size", 0), "--batch-size is 0: expected 1 or more"),
        (("--devices", 0), "--devices is 0: expected 1 or more"),
        (("--image-size", 20), "images are 20x20: lenet expects at least 28x28"),
        (("--crops", 10), "ten crops need images larger than the network's 28x28"),
        (("--crops", 4), "crops is 4: expected 1"),
        (("--weights", "none.caffemodel"), "none.caffemodel: cannot be read"),
        (("--mutation-rate", 2), "--mutation-rate is 2.0: expected 0 to 1"),
        (("--init-from", "nowhere"), "nowhere is not a run directory"),
        (("--generations", -1), "generations is -1: expected 0 or more"),
        (("--generations", 2**30), "expected fewer than 2^31 evaluations"),
        (("--seed", -1), "seed is -1: expected 0 to 4294967295"),
        (("--log-every", 0), "--log-every is 0"),
        (("--checkpoint-every", 0), "--checkpoint-every is 0"),
    ],
)
def test_bad_settings_are_one_sentence_and_leave_no_directory(tmp_path, capsys, flags, message):
    path = tmp_path / "never"
    assert message in refused(capsys, "evolve", "--run-dir", path, *flags)
    assert not path.exists()


def test_a_run_directory_that_cannot_be(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("x")
    for path in (file, file / "below"):
        assert "is, or is in, a file" in refused(capsys, "evolve", "--run-dir", path, *SMALL)
    long = tmp_path / ("x" * 300)
    assert "cannot be read" in refused(capsys, "evolve", "--run-dir", long, *SMALL)
