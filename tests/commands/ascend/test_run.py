"""`qd-fool ascend`: run directories, the table, starts, resume, and what it refuses."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from command import evolve, refused
from PIL import Image

from qd_fool.ascent.blocks import AscentResult
from qd_fool.cli import main
from qd_fool.commands.ascend import run as ascend_run
from qd_fool.commands.ascend.config import AscendConfig
from qd_fool.commands.ascend.displays import beyond_the_mean
from qd_fool.commands.ascend.plan import plan_ascent
from qd_fool.commands.ascend.results import best_of_classes
from qd_fool.commands.ascend.starts import make_starts
from qd_fool.commands.ascend.table import summary, table_rows
from qd_fool.encodings import make_encoding
from qd_fool.files import read_npz
from qd_fool.models import load_scorer
from qd_fool.models.class_names import read_classes
from qd_fool.runs.lineage import read_lineage
from qd_fool.runs.metrics import read_metrics


def ascend(run_dir, *flags) -> int:
    return main(["ascend", "--run-dir", str(run_dir), *map(str, flags)])


DIGITS = (
    "--start", "uniform", "--starts", 2, "--iterations", 40, "--chunk", 5, "--block", 10,
)  # fmt: skip


def rows_of(run_dir, name):
    with (run_dir / name).open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """All ten, from noise, two starts each."""
    run = tmp_path_factory.mktemp("ascend") / "digits"
    assert ascend(run, *DIGITS, "--devices", 2) == 0
    return run


def test_every_digit_is_reached_from_noise(digits):
    elites = rows_of(digits, "elites.csv")
    assert [row["class_index"] for row in elites] == [str(k) for k in range(10)]
    assert all(float(row["confidence"]) >= 0.9999 for row in elites)
    record = json.loads((digits / "run.json").read_text())
    assert (record["status"], record["kind"]) == ("finished", "ascent")
    assert record["png_rescored_max_difference"] <= 1e-6
    assert record["evaluations"] == 20 * 40 * 4


def test_the_table_and_the_logs_agree(digits):
    table, trace = rows_of(digits, "ascent.csv"), read_npz(digits / "ascent.npz")
    assert [(row["class_index"], row["start"]) for row in table] == [
        (str(k), str(s)) for k in range(10) for s in range(2)
    ]
    for i, row in enumerate(table):
        reached = np.flatnonzero(trace["log_odds"][:, i] >= np.log(9999))
        assert row["first_9999"] == (str(reached[0]) if reached.size else "")
        assert row["first_top"] == str(np.flatnonzero(trace["top"][:, i])[0])
        assert int(row["best_iteration"]) == trace["log_odds"][:, i].argmax()
    for elite in rows_of(digits, "elites.csv"):
        of_class = [r for r in table if r["class_index"] == elite["class_index"]]
        best = max(of_class, key=lambda row: float(row["best_log_odds"]))
        assert float(elite["fitness"]) == float(best["best_log_odds"])
        assert elite["born_generation"] == best["best_iteration"]


def test_metrics_have_a_row_an_iteration(digits):
    metrics, trace = read_metrics(digits), read_npz(digits / "ascent.npz")["log_odds"]
    np.testing.assert_array_equal(metrics["evaluations"], 20 * 4 * np.arange(1, 41))
    best = np.maximum.accumulate(trace, axis=0).reshape(40, 10, 2).max(axis=2)
    wanted = np.median(1 / (1 + np.exp(-best.astype(np.float64))), axis=1)
    np.testing.assert_allclose(metrics["median_confidence"], wanted, rtol=1e-6)
    lineage = read_lineage(digits)
    assert metrics["replacements"][-1] == len(lineage["generation"]) - 10


def test_the_papers_display_is_beside_the_plain_one(digits):
    names = sorted(path.name for path in (digits / "elites").glob("*.png"))
    assert names == sorted(path.name for path in (digits / "mean_subtracted").glob("*.png"))
    plain = np.asarray(Image.open(digits / "elites" / names[0])).astype(float)
    shown = np.asarray(Image.open(digits / "mean_subtracted" / names[0]))
    np.testing.assert_array_equal(shown, np.round(127.5 + 127.5 * plain / plain.max()))
    picture = np.full((2, 2, 3), 100, np.uint8)
    flat = beyond_the_mean(picture, np.float32([100, 100, 100]))
    assert np.unique(flat).tolist() == [128]


def test_whoever_reads_an_evolution_reads_an_ascent(digits, tmp_path, capsys):
    before = (digits / "elites.csv").read_text()
    assert main(["export", str(digits)]) == 0
    assert (digits / "elites.csv").read_text() == before
    record = json.loads((digits / "run.json").read_text())
    assert (record["status"], record["evaluations"]) == ("finished", 20 * 160)
    out = tmp_path / "poster.png"
    render = ("render", digits, "--class", 3, "--nearest", "--size", 56, "--out", out)
    assert main(list(map(str, render))) == 0
    with Image.open(out) as poster:
        assert poster.size == (56, 56)
    flags = ("--init-from", digits, "--generations", 0, "--batch-size", 20, "--chunk", 20)
    assert evolve(tmp_path / "evolved", *flags, "--devices", 1) == 0
    elites = rows_of(tmp_path / "evolved", "elites.csv")
    assert all(float(row["confidence"]) >= 0.9999 for row in elites)
    assert refused(capsys, "ascend", "--resume", "--run-dir", tmp_path / "evolved")


def test_elites_are_polished_in_pixels(digits, tmp_path):
    """From an ascent's own pictures: the first iterate is what the source has."""
    run = tmp_path / "polished"
    flags = ("--from", digits, "--classes", "2,7", "--iterations", 3, "--chunk", 5, "--devices", 2)
    assert ascend(run, *flags) == 0
    trace, old = read_npz(run / "ascent.npz"), rows_of(digits, "elites.csv")
    assert trace["class_index"].tolist() == [2, 7]
    theirs = [float(old[k]["fitness"]) for k in (2, 7)]
    np.testing.assert_allclose(trace["log_odds"][0], theirs, rtol=1e-4)
    assert len(rows_of(run, "elites.csv")) == 2


def test_resume_goes_on_to_the_same_bits_on_any_devices(digits, tmp_path, monkeypatch, capsys):
    run = tmp_path / "cut"
    real, calls = ascend_run.ascend_block, []

    def cut_off(*args, **settings):
        calls.append(1)
        return real(*args, **settings) if len(calls) == 1 else None

    with monkeypatch.context() as patch:
        patch.setattr(ascend_run, "ascend_block", cut_off)
        assert ascend(run, *DIGITS, "--devices", 2) == 130
    said = capsys.readouterr().err
    assert "interrupted, 10 of 20 done; go on with: qd-fool ascend --resume" in said
    told = json.loads((run / "run.json").read_text())
    assert told["status"] == "interrupted"
    # An export of what there is leaves the run as it is: to be gone on with.
    assert main(["export", str(run)]) == 0
    again = json.loads((run / "run.json").read_text())
    assert {k: again[k] for k in ("status", "evaluations", "generations_done")} == {
        k: told[k] for k in ("status", "evaluations", "generations_done")
    }
    assert len(rows_of(run, "elites.csv")) == 5
    again = ("ascend", "--resume", "--run-dir", run)
    said = refused(capsys, *again, "--iterations", 5, "--seed", 1)
    assert "seed is 1, the run has 0" in said
    assert "iterations is 5, the run has 40" in said
    assert "is not empty" in refused(capsys, "ascend", "--run-dir", run)
    assert ascend(run, "--resume", "--devices", 1) == 0
    assert not (run / "blocks").exists()
    for name in ("archive.npz", "ascent.npz", "lineage.npz"):
        whole, parts = read_npz(digits / name), read_npz(run / name)
        for key in whole:
            np.testing.assert_array_equal(whole[key], parts[key], err_msg=f"{name} {key}")
    assert (digits / "ascent.csv").read_text() == (run / "ascent.csv").read_text()
    assert "is finished" in refused(capsys, *again)


def test_colour_starts_at_the_networks_mean(tmp_path, tiny_network):
    run = tmp_path / "zero"
    flags = (*tiny_network, "--classes", "7", "--start", "zero", "--iterations", 1, "--devices", 1)
    assert ascend(run, *flags) == 0
    (row,) = rows_of(run, "ascent.csv")
    assert (float(row["norm"]), float(row["distance"])) == (0, 0)
    (elite,) = rows_of(run, "elites.csv")
    picture = np.asarray(Image.open(run / elite["png"]))
    assert np.unique(picture.reshape(-1, 3), axis=0).tolist() == [[123, 117, 104]]


@pytest.mark.parametrize("kind", ["mean", "uniform", "zero", "picture"])
def test_starts(tmp_path, kind):
    """Each target's is its own, whoever it is made with."""
    scorer = dataclasses.replace(load_scorer("lenet"), mean=(90.0, 100.0, 110.0))
    encoding = make_encoding("direct", (20, 16, 3), color="rgb")
    picture = np.random.default_rng(0).integers(0, 256, (20, 16, 3)).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "start.png")
    classes, starts = np.array([3, 3, 4], np.int32), np.array([0, 1, 0], np.int32)
    start = str(tmp_path / "start.png") if kind == "picture" else kind
    make = make_starts(
        scorer, encoding, classes, starts, source=None, start=start, seed=0, chunk=2
    )  # fmt: skip
    genomes, values = make(np.arange(3))
    np.testing.assert_array_equal(genomes, np.clip(np.round(values), 0, 255))
    np.testing.assert_array_equal(make(np.array([1]))[1], values[1:2])
    mean = np.broadcast_to(np.float32(scorer.mean), (20, 16, 3)).reshape(-1)
    if kind in ("mean", "uniform"):
        assert len(np.unique(values, axis=0)) == 3
    if kind == "mean":
        assert np.std(values - mean) == pytest.approx(1, abs=0.05)
        assert np.mean(values - mean) == pytest.approx(0, abs=0.1)
    elif kind == "uniform":
        assert np.percentile(values, [0, 50, 100]) == pytest.approx([0, 127.5, 255], abs=8)
    else:
        wanted = mean if kind == "zero" else picture.reshape(-1)
        np.testing.assert_array_equal(values, np.stack([wanted] * 3))


def test_weights_of_graphs_climb_and_the_rest_of_them_stays(tmp_path, capsys):
    graphs, run = tmp_path / "graphs", tmp_path / "weights"
    flags = ("--parametrization", "cppn", "--chunk", 5, "--devices", 1)
    assert ascend(graphs, *flags, "--iterations", 1) == 0
    assert ascend(run, *flags, "--iterations", 4, "--from", graphs) == 0
    old, new = (read_npz(d / "archive.npz") for d in (graphs, run))
    for name in ("source", "target", "activation"):
        key = f"archive.genomes.{name}"
        np.testing.assert_array_equal(old[key], new[key])
    assert (new["archive.fitness"] >= old["archive.fitness"] - 1e-3).all()
    assert (new["archive.fitness"] > old["archive.fitness"] + 1e-4).sum() >= 5
    assert json.loads((run / "run.json").read_text())["png_rescored_max_difference"] <= 1e-5
    assert main(["export", str(run), "--format", "graphs", "--class", "3"]) == 0
    said = refused(
        capsys, "ascend", "--from", graphs, "--parametrization", "cppn", "--preset", "paper",
        "--run-dir", tmp_path / "none",
    )  # fmt: skip
    assert "decay, blur and percentiles are for pixels" in said


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--classes", "10"), "--classes is 10: expected 0 to 9"),
        (("--classes", "0:11"), "--classes has 0:11: expected 0 to 9"),
        (("--classes", "zebra"), "--classes 'zebra' is none of the 10 classes: expected an index"),
        (("--preset", "fast"), "--preset is 'fast': expected one of adam, paper, seed-1"),
        (("--model", "resnet"), "unknown model 'resnet'"),
        (("--objective", "fc8:3"), "lenet has no layer 'fc8'"),
        (("--start", "nowhere.png"), "--start is nowhere.png: expected mean, uniform, zero or"),
        (("--start", "zero", "--starts", "2"), "--starts is 2: all of them would be the same"),
        (("--parametrization", "cppn", "--start", "mean"), "--start mean is of pixels"),
        (("--parametrization", "cppn", "--decay", "0.1"), "decay, blur and percentiles"),
        (("--from", "nowhere"), "nowhere is not a run directory"),
        (("--early", "0.5"), "--early 0.5 would do nothing: --rule is adam, expected progress"),
        (("--preset", "paper", "--lr", "9"), "--lr 9.0 would do nothing: --rule is progress"),
        (("--blur-every", "7"), "--blur-every 7 would do nothing: --blur is 0"),
        (("--iterations", "0"), "iterations is 0: expected 1 or more"),
        (("--crops", "10"), "ten crops need images larger"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, flags, told):
    run = tmp_path / "run"
    assert told in refused(capsys, "ascend", "--run-dir", run, *flags)
    assert not run.exists()


def test_pictures_and_runs_that_do_not_fit(tmp_path, capsys, digits):
    flags = ("ascend", "--run-dir", tmp_path / "run")
    Image.new("L", (30, 20)).save(tmp_path / "small.png")
    said = refused(capsys, *flags, "--start", tmp_path / "small.png")
    assert "small.png: it is 20x30 pixels, gray, expected 28x28 pixels, gray" in said
    said = refused(capsys, *flags, "--from", digits, "--parametrization", "cppn")
    assert "its encoding is direct, expected cppn" in said
    assert "two starts" in refused(capsys, *flags, "--from", digits, "--start", "zero")
    assert "--resume needs --run-dir" in refused(capsys, "ascend", "--resume")


def test_classes_by_index_range_and_label():
    scorer = dataclasses.replace(load_scorer("lenet"), class_names=("cat, puss", "dog", "cat"))
    assert read_classes("2, dog", scorer).tolist() == [1, 2]
    assert read_classes("puss,0:3:2", scorer).tolist() == [0, 2]
    assert read_classes("PUSS", scorer).tolist() == [0]
    assert read_classes("cat", scorer).tolist() == [2]  # a whole label


def test_flags_beat_the_preset():
    config = AscendConfig(preset="paper", decay=0.0, classes="1", iterations=7)
    planned = plan_ascent(config)
    assert (planned.ascent.objective, planned.ascent.rule) == ("probability", "progress")
    assert (planned.ascent.decay, planned.ascent.iterations) == (0.0, 7)
    assert planned.record["early"] == 0.03


def test_what_the_table_says():
    odds = np.log(np.array([[1e-3, 0.5, 1e5, 10], [1e-3, 200, 20, 1e-2]], np.float32)).T
    top = np.array([[False, True, True, True], [False, False, True, False]]).T
    last = odds.max(axis=0)
    result = AscentResult(
        np.zeros((2, 1)), last, odds.argmax(axis=0), odds, odds, top, np.ones(2), np.ones(2)
    )
    rows = table_rows(result, np.array([4, 1]), np.array([0, 0]), list("abcde"))
    firsts = [[row[f"first_{name}"] for name in ("top", "99", "999", "9999")] for row in rows]
    assert firsts == [[1, 2, 2, 2], [2, 1, None, None]]
    assert rows[0]["label"] == "e"
    assert rows[0]["final_confidence"] == pytest.approx(10 / 11)
    assert rows[1]["best_iteration"] == 1
    said = summary(rows, most=4)
    assert said[0] == "2 of 2 >= 0.99; median steps 1.5"
    assert said[1] == "1 of 2 >= 0.999; median steps 3"


def test_the_best_start_of_a_class_and_the_first_of_equals():
    merit = np.float32([1, 3, 3, -np.inf, 0])
    assert best_of_classes(np.array([5, 5, 5, 2, 2]), merit).tolist() == [4, 1]
