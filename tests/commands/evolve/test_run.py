"""`qd-fool evolve` end to end, with the shipped LeNet: files, resume, faults, bad input."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from command import evolve, refused
from PIL import Image

from qd_fool.cli import main
from qd_fool.files import read_npz
from qd_fool.runs.directory import sole_user
from qd_fool.runs.lineage import read_lineage
from qd_fool.runs.metrics import METRICS, read_metrics

SMALL = ("--generations", "6", "--batch-size", "20", "--chunk", "10", "--devices", "2")


def archive(run_dir):
    return read_npz(run_dir / "archive.npz")


# When one read of a damaged checkpoint fails, orbax leaves the others to a loop that it has closed.
orbax_leaves_reads_behind = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)


def assert_same_archive(a, b):
    left, right = archive(a), archive(b)
    assert set(left) == set(right)
    for name in left:
        np.testing.assert_array_equal(left[name], right[name], err_msg=name)


def assert_same_logs(a, b):
    for name in ("lineage.npz", "genomes.npz"):
        left, right = read_npz(a / name), read_npz(b / name)
        assert set(left) == set(right)
        for column in left:
            np.testing.assert_array_equal(left[column], right[column], err_msg=column)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A finished small run; tests only read it."""
    path = tmp_path_factory.mktemp("runs") / "small"
    assert evolve(path, *SMALL) == 0
    return path


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
    run = json.loads((run_dir / "run.json").read_text())
    assert run["status"] == "finished"
    assert (run["generations_done"], run["evaluations"]) == (6, 140)
    assert run["config"]["chunk"] == 10
    assert len(run["config"]["weights_sha256"]) == 64


def test_metrics_count_evaluations_and_never_fall(run_dir):
    lines = (run_dir / "metrics.csv").read_text().splitlines()
    assert lines[0] == ",".join(METRICS)
    assert lines[0].startswith(
        "generation,evaluations,seconds,median_confidence,mean_confidence,min_confidence,"
        "max_confidence,cells_over_99,replacements,distinct"
    )
    metrics = read_metrics(run_dir)
    assert list(metrics["generation"]) == list(range(7))
    assert list(metrics["evaluations"]) == [20 * (g + 1) for g in range(7)]
    for name in ("seconds", "min_confidence", "max_confidence", "mean_confidence", "replacements"):
        assert np.all(np.diff(metrics[name]) >= 0), name


def test_pngs_are_the_scored_bytes_and_score_the_same_again(run_dir, capsys):
    genomes = archive(run_dir)["archive.genomes"]
    with (run_dir / "elites.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    for row in rows:
        with Image.open(run_dir / row["png"]) as image:
            pixels = np.asarray(image)
        np.testing.assert_array_equal(pixels.ravel(), genomes[int(row["class_index"])])
    capsys.readouterr()
    pngs = [str(run_dir / row["png"]) for row in rows]
    assert main(["score", *pngs, "--model", "lenet", "--top", "10", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for row, line in zip(rows, told, strict=True):
        by_class = {t["class_index"]: t["confidence"] for t in line["top"]}
        again = by_class[int(row["class_index"])]
        assert abs(again - float(row["confidence"])) <= 1e-5
        assert json.loads(row["top5"])[0][0] == line["top"][0]["class_index"]


def test_lineage_ends_in_the_archive(run_dir):
    events, final = read_lineage(run_dir), archive(run_dir)
    assert np.all(np.diff(events["generation"]) >= 0)
    for cell in range(10):
        last = np.flatnonzero(events["class_index"] == cell)[-1]
        assert events["id"][last] == final["archive.id"][cell]
        assert events["parent_id"][last] == final["archive.parent_id"][cell]
        assert events["fitness"][last] == final["archive.fitness"][cell]
        assert events["generation"][last] == final["archive.born"][cell]
    known = set(events["id"]) | {-1}
    assert set(events["parent_id"]) <= known
    kept = read_npz(run_dir / "genomes.npz")
    rows = np.searchsorted(kept["id"], final["archive.id"])
    np.testing.assert_array_equal(kept["genomes"][rows], final["archive.genomes"])
    assert set(kept["parent_id"]) <= set(kept["id"]) | {-1}


def test_same_archive_for_2_and_4_devices(run_dir, tmp_path):
    """1, too: `test_map_elites.test_same_bits_on_1_2_and_4_devices_with_lenet`."""
    assert evolve(tmp_path / "four", *SMALL[:-1], 4) == 0
    assert_same_archive(run_dir, tmp_path / "four")


def test_resume_in_pieces_gives_the_same(run_dir, tmp_path, capsys):
    path = tmp_path / "pieces"
    assert evolve(path, *SMALL, "--generations", 2) == 0
    capsys.readouterr()
    assert evolve(path, "--resume", "--generations", 5) == 0
    assert "resuming after generation 2" in capsys.readouterr().err
    assert evolve(path, "--resume", "--generations", 6) == 0
    assert_same_archive(run_dir, path)
    for name in METRICS:
        if name != "seconds":
            np.testing.assert_array_equal(read_metrics(path)[name], read_metrics(run_dir)[name])
    assert_same_logs(run_dir, path)


def test_resuming_a_finished_run_changes_nothing(run_dir, tmp_path):
    path = tmp_path / "done"
    assert evolve(path, *SMALL) == 0
    assert evolve(path, "--resume") == 0
    assert_same_archive(run_dir, path)
    assert list(read_metrics(path)["generation"]) == list(range(7))


def test_a_run_killed_before_its_first_file_can_start_again(tmp_path):
    path = tmp_path / "early"
    (path / "checkpoints").mkdir(parents=True)
    (path / ".run.partial.json").write_text("{")
    assert evolve(path, *SMALL, "--generations", 0) == 0


@orbax_leaves_reads_behind
def test_a_refused_resume_leaves_a_longer_run_as_it_was(tmp_path, capsys):
    path = tmp_path / "longer"
    assert evolve(path, *SMALL, "--generations", 4, "--checkpoint-every", 2) == 0
    biggest = max(
        (path / "checkpoints" / "generation_4").rglob("*"), key=lambda p: p.stat().st_size
    )
    biggest.write_bytes(b"")  # as if damaged: it must not be cleared away either

    def everything():
        return {p: p.read_bytes() for p in path.rglob("*") if p.is_file()}

    before = everything()
    assert "has done 2 already" in refused(
        capsys, "evolve", "--resume", "--run-dir", path, "--generations", 1
    )
    assert everything() == before


def test_a_run_in_use_is_refused(tmp_path, capsys):
    path = tmp_path / "busy"
    assert evolve(path, *SMALL, "--generations", 0) == 0
    with sole_user(path):
        for command in (("evolve", "--resume", "--run-dir", path), ("export", path)):
            assert "is in use by another process" in refused(capsys, *command)


@pytest.mark.parametrize(
    "name", ["lineage.npz", "metrics.csv", "archive.npz", "run.json", "elites.csv"]
)
def test_any_damaged_file_is_one_sentence(run_dir, tmp_path, capsys, name):
    path = tmp_path / "damaged"
    shutil.copytree(run_dir, path)
    (path / name).write_bytes(b"\xff\x00,not,this\n" * 9)
    commands = {
        "lineage.npz": ("evolve", "--resume", "--run-dir", path, "--generations", 9),
        "metrics.csv": ("evolve", "--resume", "--run-dir", path, "--generations", 9),
        "archive.npz": ("evolve", "--run-dir", tmp_path / "new", *SMALL, "--init-from", path),
        "run.json": ("evolve", "--resume", "--run-dir", path),
        "elites.csv": ("export", path, "--format", "report"),
    }
    assert name in refused(capsys, *commands[name])


def test_archives_of_older_versions_are_read(run_dir, tmp_path):
    """Without the settings and counters that came later."""
    old = tmp_path / "old"
    shutil.copytree(run_dir, old)
    run = json.loads((old / "run.json").read_text())
    kept = ("model", "encoding", "seed", "generations", "batch_size", "chunk", "image_size")
    kept += ("crops", "genes", "mutation_rate", "crossover_rate", "archive_rule", "weights_sha256")
    run["config"] = {name: run["config"][name] for name in kept}
    (old / "run.json").write_text(json.dumps(run))
    arrays = archive(old)
    del arrays["refused"]
    np.savez(old / "archive.npz", **arrays)
    assert evolve(tmp_path / "new", *SMALL, "--init-from", old) == 0
    shutil.rmtree(old / "checkpoints")
    assert main(["export", str(old)]) == 0
    assert_same_archive(old, run_dir)


def test_a_missing_lineage_or_picture_is_told(run_dir, tmp_path, capsys):
    path = tmp_path / "missing"
    shutil.copytree(run_dir, path)
    (path / "lineage.npz").unlink()
    told = refused(capsys, "evolve", "--resume", "--run-dir", path, "--generations", 9)
    assert "lineage.npz is missing" in told
    (path / "elites" / "0003_3.png").unlink()
    assert "0003_3.png" in refused(capsys, "export", path, "--format", "sheet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config": None}, "config is None, expected a dict"),
        ({"config": {"seed": 1}}, "its config lacks"),
        ({"classes": "ten"}, "classes is 'ten', expected a int"),
    ],
)
def test_a_run_json_with_odd_contents(run_dir, tmp_path, capsys, change, message):
    path = tmp_path / "odd"
    shutil.copytree(run_dir, path)
    run = json.loads((path / "run.json").read_text()) | change
    (path / "run.json").write_text(json.dumps(run))
    assert message in refused(capsys, "evolve", "--resume", "--run-dir", path)


def test_export_refuses_other_weights(run_dir, tmp_path, capsys):
    path = tmp_path / "other"
    shutil.copytree(run_dir, path)
    run = json.loads((path / "run.json").read_text())
    run["config"]["weights_sha256"] = "0" * 64
    (path / "run.json").write_text(json.dumps(run))
    before = (path / "elites.csv").read_bytes()
    assert "weights-sha256" in refused(capsys, "export", path)
    assert (path / "elites.csv").read_bytes() == before


@orbax_leaves_reads_behind
def test_a_cut_checkpoint_falls_back_and_says_so(run_dir, tmp_path, capsys):
    path = tmp_path / "cut"
    assert evolve(path, *SMALL, "--generations", 4, "--checkpoint-every", 2) == 0
    newest = path / "checkpoints" / "generation_4" / "state"
    for file in [f for f in newest.rglob("*") if f.is_file()]:
        file.write_bytes(file.read_bytes()[:20])
    capsys.readouterr()
    assert evolve(path, "--resume", "--generations", 6) == 0
    told = capsys.readouterr().err
    assert "checkpoint of generation 4 is damaged" in told
    assert "resuming after generation 2" in told
    assert_same_archive(run_dir, path)


@orbax_leaves_reads_behind
def test_all_checkpoints_damaged_is_refused_and_nothing_lost(tmp_path, capsys):
    path = tmp_path / "lost"
    assert evolve(path, *SMALL, "--generations", 2) == 0
    for file in (path / "checkpoints").rglob("*"):
        if file.is_file():
            file.write_bytes(b"")
    before = (path / "archive.npz").read_bytes()
    assert "each of its checkpoints is damaged" in refused(
        capsys, "evolve", "--resume", "--run-dir", path
    )
    assert (path / "archive.npz").read_bytes() == before


def test_init_from_seeds_a_new_run(run_dir, tmp_path):
    path = tmp_path / "seeded"
    flags = (*SMALL, "--generations", 0, "--seed", 7, "--init-from", run_dir)
    assert evolve(path, *flags) == 0
    seeded, donor = archive(path), archive(run_dir)
    assert np.all(seeded["archive.fitness"] >= donor["archive.fitness"] - 1e-5)
    kept = seeded["archive.id"] < 0
    assert kept.any()
    np.testing.assert_array_equal(seeded["archive.genomes"][kept], donor["archive.genomes"][kept])


def test_argmax_rule_and_float_genes_run(tmp_path):
    path = tmp_path / "options"
    assert (
        evolve(
            path,
            *SMALL,
            "--archive-rule",
            "argmax",
            "--genes",
            "float",
            "--crossover-rate",
            0.5,
            "--log-every",
            3,
        )
        == 0
    )
    assert list(read_metrics(path)["generation"]) == [0, 3, 6]


def test_larger_pictures_with_ten_crops(tmp_path):
    path = tmp_path / "crops"
    assert evolve(path, *SMALL, "--generations", 1, "--image-size", 32, "--crops", 10) == 0
    with Image.open(next((path / "elites").iterdir())) as image:
        assert image.size == (32, 32)
    run = json.loads((path / "run.json").read_text())
    assert run["png_rescored_max_difference"] <= 1e-5


def command(*argv):
    return [sys.executable, "-m", "qd_fool.cli", *map(str, argv)]


LONG = (
    "evolve",
    "--generations",
    120,
    "--batch-size",
    50,
    "--chunk",
    25,
    "--devices",
    2,
    "--checkpoint-every",
    5,
)


def start_and_signal(run_dir, wait, number):
    """Start a run, wait until `wait(run_dir)`, send a signal; its exit code and words."""
    process = subprocess.Popen(
        command(*LONG, "--run-dir", run_dir),
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    deadline = time.monotonic() + 120
    while not wait(run_dir) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(number)
    _, words = process.communicate(timeout=120)
    return process.returncode, words


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    assert main([*map(str, LONG), "--run-dir", str(path)]) == 0
    return path


def generations_logged(run_dir):
    path = run_dir / "metrics.csv"
    return path.read_text().count("\n") - 1 if path.exists() else 0


@pytest.mark.parametrize("logged", [1, 40])
def test_sigkill_then_resume_gives_the_same_bits(whole, tmp_path, capsys, logged):
    """Before the first checkpoint is sure to be there, and between two."""
    path = tmp_path / "killed"
    code, _ = start_and_signal(path, lambda d: generations_logged(d) >= logged, signal.SIGKILL)
    assert code == -signal.SIGKILL
    capsys.readouterr()
    assert main([*map(str, LONG), "--resume", "--run-dir", str(path)]) == 0
    told = capsys.readouterr().err
    assert "resuming after generation" in told or logged == 1
    assert_same_archive(whole, path)
    assert_same_logs(whole, path)


def test_ctrl_c_saves_and_says_how_to_go_on(whole, tmp_path):
    path = tmp_path / "stopped"
    code, words = start_and_signal(path, lambda d: generations_logged(d) >= 3, signal.SIGINT)
    assert code == 130
    assert f"qd-fool evolve --resume --run-dir {path}" in " ".join(words.split())
    assert json.loads((path / "run.json").read_text())["status"] == "interrupted"
    assert (path / "report.html").exists()
    assert main(["evolve", "--resume", "--run-dir", str(path)]) == 0
    assert_same_archive(whole, path)


def test_resume_of_nothing_starts_a_run(tmp_path, capsys):
    assert evolve(tmp_path / "new", *SMALL, "--generations", 0, "--resume") == 0
    assert "nothing to resume" in capsys.readouterr().err


def test_a_run_directory_in_use_is_refused_untouched(run_dir, capsys):
    before = {p: p.stat().st_mtime_ns for p in run_dir.rglob("*")}
    told = refused(capsys, "evolve", "--run-dir", run_dir, *SMALL)
    assert "exists and is not empty: pass --resume" in told
    assert {p: p.stat().st_mtime_ns for p in run_dir.rglob("*")} == before


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
        (("--mutation-rate", 2), "mutation_rate is 2.0: expected 0 to 1"),
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


def test_nan_scores_stop_the_run_and_are_told(tmp_path, capsys, monkeypatch):
    from qd_fool.models import load_scorer
    from qd_fool.models.architectures.lenet import flat_from_params

    flat = flat_from_params(load_scorer("lenet").params)
    flat["ip2.weight"] *= 1e38  # infinite logits, whose differences are not numbers
    weights = tmp_path / "nan.npz"
    np.savez(weights, **flat)
    flags = ("evolve", "--run-dir", tmp_path / "r", *SMALL, "--weights", weights)
    assert "gives NaN or infinite scores to plain noise" in refused(capsys, *flags)
    assert not (tmp_path / "r").exists()
    monkeypatch.setattr("qd_fool.commands.evolve.run.show_sanity", lambda *_: None)
    told = refused(capsys, *flags)
    assert "NaN or infinite scores, first in generation 0" in told
    run = json.loads((tmp_path / "r" / "run.json").read_text())
    assert (run["status"], run["bad_generation"]) == ("failed", 0)
    picture = tmp_path / "p.png"
    Image.new("L", (28, 28)).save(picture)
    assert "NaN or infinite" in refused(capsys, "score", picture, "--weights", weights)
