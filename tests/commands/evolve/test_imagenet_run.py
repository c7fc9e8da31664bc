"""Runs on ImageNet: sanity first, both encodings, crops, resume, bad input."""

import csv
import json
import os
import pickle

import numpy as np
import pytest
from command import evolve, refused
from PIL import Image

from qd_fool.files import read_npz
from qd_fool.models.labels import imagenet_labels

SMALL = ("--model", "squeezenet1.1", "--batch-size", 8, "--chunk", 2, "--devices", 2)


@pytest.fixture(scope="module")
def weights(imagenet_weights):
    return imagenet_weights["squeezenet1.1"]


@pytest.fixture(scope="module", autouse=True)
def little_noise():
    """`test_sanity.py` has as many pictures of noise as the command."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qd_fool.commands.evolve.sanity.NOISE", 20)
        yield


@pytest.fixture(scope="module")
def finished(tmp_path_factory, weights, photographs):
    """A small CPPN run with photographs, and what it printed."""
    import contextlib
    import io

    few = tmp_path_factory.mktemp("photos")
    for path in sorted(photographs.glob("*.jpg"))[::100]:
        (few / path.name).symlink_to(path)
    run = tmp_path_factory.mktemp("runs") / "cppn"
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert (
            evolve(run, *SMALL, "--weights", weights, "--encoding", "cppn", "--generations", 3,
                   "--photos", few) == 0
        )  # fmt: skip
    return run, said.getvalue()


def test_sanity_comes_first(finished):
    _, said = finished
    noise = said.index("on 20 pictures of noise its highest confidence is ")
    photographs = said.index("on 10 photographs of ")
    assert noise < photographs < said.index("compiled in ")
    right = float(said.split("in the median, and ")[1].split("%")[0])
    assert right >= 40


def test_the_end_tells_where_to_look_and_who_is_fooled_most(finished):
    run, said = finished
    assert "of the original's search with this encoding" in said
    assert f"look at {run / 'report.html'}" in said
    with (run / "elites.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -float(row["confidence"]))
    output = said.split("most confident: ")[1].splitlines()[0]
    names = [part.rsplit(" ", 1)[0] for part in output.split(", ")]
    assert names == [row["label"].split(",")[0] for row in rows[:5]]


def test_an_elite_for_each_class_in_the_networks_order(finished):
    run, _ = finished
    with (run / "elites.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == list(imagenet_labels()[1])
    assert (run / "elites" / "0291_lion.png").exists()
    with Image.open(run / rows[0]["png"]) as image:
        assert (image.size, image.mode) == ((256, 256), "RGB")
    assert json.loads((run / "run.json").read_text())["png_rescored_max_difference"] <= 1e-5


def test_the_pages_are_of_a_size_that_opens(finished):
    run, _ = finished
    page = (run / "report.html").read_text()
    elites, _, ancestors = page.partition('id="ancestors-0">')
    assert elites.count("data:image/webp;base64,") == 1000
    assert ancestors.count("data:image/webp;base64,") > 0
    assert len(page) < 8e6
    assert (run / "contact_sheet.png").exists()


@pytest.fixture(scope="module")
def tiny(tiny_network):
    return (*tiny_network, "--batch-size", 8, "--devices", 2)


# Runs of direct genomes are resumed in `test_start.py` and `test_loop.py`, too.
@pytest.mark.parametrize(
    ("encoding", "crops"), [("cppn", 10), pytest.param("direct", 1, marks=pytest.mark.long)]
)
def test_resume_goes_on_to_the_same_bits_on_any_devices(tmp_path, tiny, encoding, crops):
    flags = (*tiny, "--encoding", encoding, "--crops", crops)
    assert evolve(tmp_path / "a", *flags, "--generations", 3, "--devices", 4) == 0
    assert evolve(tmp_path / "b", *flags, "--generations", 1) == 0
    assert evolve(tmp_path / "b", "--resume", "--generations", 3) == 0
    record = json.loads((tmp_path / "b" / "run.json").read_text())
    assert record["config"]["crops"] == crops
    assert record["png_rescored_max_difference"] <= 1e-5
    whole, parts = (read_npz(tmp_path / name / "archive.npz") for name in "ab")
    for name in whole:
        np.testing.assert_array_equal(whole[name], parts[name], err_msg=name)


def test_minutes_pause_a_run_and_resume_goes_on(tmp_path, tiny, capsys):
    run = tmp_path / "paused"
    flags = ("--encoding", "direct", "--generations", 5000, "--minutes", 0.0001)
    assert evolve(run, *tiny, *flags) == 0
    said = capsys.readouterr().err
    command = f"qd-fool evolve --resume --run-dir {run}"
    assert f"0.0001 minutes are over; continue with: {command}" in said
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["generations"]) == ("paused", 5000)
    assert "at its time limit" in (run / "report.html").read_text()
    done = record["generations_done"]
    assert evolve(run, "--resume", "--generations", done + 1, "--minutes", 5) == 0
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["generations_done"]) == ("finished", done + 1)


def test_another_mean_is_another_run(tmp_path, tiny, capsys):
    run, mean = tmp_path / "mean", tmp_path / "mean.npy"
    np.save(mean, np.full((3, 40, 40), 100.0))
    assert evolve(run, *tiny, "--mean", mean, "--generations", 0) == 0
    assert evolve(run, "--resume", "--generations", 1) == 0
    np.save(mean, np.zeros((3, 40, 40)))
    said = refused(capsys, "evolve", "--resume", "--run-dir", run, "--generations", 2)
    assert "mean-sha256 is " in said


def test_another_precision_is_another_run(tmp_path, tiny, capsys):
    run = tmp_path / "rough"
    assert evolve(run, *tiny, "--precision", "bfloat16", "--generations", 0) == 0
    said = refused(capsys, "evolve", "--resume", "--run-dir", run, "--precision", "float32")
    assert "precision is 'float32', the run has 'bfloat16'" in said


def test_a_pickle_that_wants_to_run_is_not_run(tmp_path, capsys):
    class Bomb:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    (tmp_path / "bomb.pth").write_bytes(pickle.dumps({"features.0.weight": Bomb()}))
    said = refused(
        capsys, "evolve", "--model", "alexnet", "--weights", tmp_path / "bomb.pth",
        "--run-dir", tmp_path / "run",
    )  # fmt: skip
    assert "bomb.pth" in said
    assert "system" in said
    assert not (tmp_path / "ran").exists()
    assert not (tmp_path / "run").exists()
