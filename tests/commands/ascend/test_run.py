"""`qd-fool ascend` from its first to its last sentence, and what it refuses."""

import json

import numpy as np
import pytest
from command import SMALL, ascend, evolve, refused
from PIL import Image
from run_files import copy_of, record, rows_of

from qd_fool.cli import main
from qd_fool.files import read_npz


def test_a_command_that_reads_an_evolution_reads_an_ascent(digits, tmp_path, capsys):
    copy = copy_of(digits, tmp_path / "copy")
    assert main(["export", str(copy)]) == 0
    assert (copy / "elites.csv").read_text() == (digits / "elites.csv").read_text()
    assert record(copy) == record(digits)
    out = tmp_path / "poster.png"
    render = ("render", digits, "--class", 3, "--nearest", "--size", 56, "--out", out)
    assert main(list(map(str, render))) == 0
    with Image.open(out) as poster:
        assert poster.size == (56, 56)
    flags = (*SMALL, "--generations", 0, "--init-from", digits)
    assert evolve(tmp_path / "evolved", *flags) == 0
    elites = rows_of(tmp_path / "evolved", "elites.csv")
    assert all(float(row["confidence"]) >= 0.9999 for row in elites)
    assert refused(capsys, "ascend", "--resume", "--run-dir", tmp_path / "evolved")


def test_elites_are_polished_in_pixels(digits, tmp_path):
    """From an ascent's own pictures: the first iterate is what the source has.

    With the program of the source.
    """
    run = tmp_path / "polished"
    flags = ("--from", digits, "--classes", "2,7", "--iterations", 40, "--chunk", 5, "--devices", 2)
    assert ascend(run, *flags) == 0
    trace, old = read_npz(run / "ascent.npz"), rows_of(digits, "elites.csv")
    assert trace["class_index"].tolist() == [2, 7]
    reference = [float(old[k]["fitness"]) for k in (2, 7)]
    np.testing.assert_allclose(trace["log_odds"][0], reference, rtol=1e-4)
    assert len(rows_of(run, "elites.csv")) == 2


def test_colour_starts_at_the_networks_mean(tmp_path, tiny_network):
    run = tmp_path / "zero"
    flags = (*tiny_network, "--classes", "7", "--start", "zero", "--iterations", 1, "--devices", 1)
    assert ascend(run, *flags) == 0
    (row,) = rows_of(run, "ascent.csv")
    assert (float(row["norm"]), float(row["distance"])) == (0, 0)
    (elite,) = rows_of(run, "elites.csv")
    picture = np.asarray(Image.open(run / elite["png"]))
    assert np.unique(picture.reshape(-1, 3), axis=0).tolist() == [[123, 117, 104]]


def test_weights_of_graphs_climb_and_the_rest_of_them_stays(tmp_path, capsys):
    """Twice, with one program."""
    graphs, run = tmp_path / "graphs", tmp_path / "weights"
    flags = ("--parametrization", "cppn", "--chunk", 5, "--devices", 1, "--iterations", 4)
    assert ascend(graphs, *flags) == 0
    assert ascend(run, *flags, "--from", graphs) == 0
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
    ("flags", "output"),
    [
        (("--classes", "10"), "--classes is 10: expected 0 to 9"),
        (("--classes", "0:11"), "--classes has 0:11: expected 0 to 9"),
        (("--classes", "zebra"), "--classes 'zebra' is none of the 10 classes: expected an index"),
        (("--preset", "fast"), "--preset is 'fast': expected one of adam, paper, seed-1"),
        (("--model", "resnet"), "unknown model 'resnet'"),
        (("--objective", "fc8:3"), "lenet has no layer 'fc8'"),
        (("--start", "nowhere.png"), "--start is nowhere.png: expected mean, uniform, zero or"),
        (("--start", "zero", "--starts", "2"), "--starts is 2: all of them would be the same"),
        (("--parametrization", "cppn", "--start", "mean"), "--start mean applies only to pixels"),
        (("--parametrization", "cppn", "--decay", "0.1"), "decay, blur and percentiles"),
        (("--from", "nowhere"), "nowhere is not a run directory"),
        (("--early", "0.5"), "--early 0.5 has no effect: --rule is adam, expected progress"),
        (("--preset", "paper", "--lr", "9"), "--lr 9.0 has no effect: --rule is progress"),
        (("--blur-every", "7"), "--blur-every 7 has no effect: --blur is 0"),
        (("--iterations", "0"), "iterations is 0: expected 1 or more"),
        (("--crops", "10"), "ten crops need images larger"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, capsys, flags, output):
    run = tmp_path / "run"
    assert output in refused(capsys, "ascend", "--run-dir", run, *flags)
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
