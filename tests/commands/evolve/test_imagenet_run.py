"""Runs on ImageNet: sanity first, both encodings, crops, resume, bad input."""

import contextlib
import csv
import dataclasses
import io
import json
import os
import pickle

import jax.numpy as jnp
import numpy as np
import pytest
from command import evolve, refused
from PIL import Image
from run_files import copy_of

from qd_fool.data.photographs import read_photograph
from qd_fool.files import read_npz
from qd_fool.models import ZOO
from qd_fool.models.labels import imagenet_labels
from qd_fool.runs.metrics import read_metrics

SMALL = ("--batch-size", 8, "--chunk", 2, "--devices", 2)


@pytest.fixture(scope="module", autouse=True)
def little_noise():
    """`test_sanity.py` has as many pictures of noise as the command. Here they are as many as the
    photographs, so that both are scored by the same program."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qd_fool.commands.evolve.sanity.NOISE", 10)
        yield


@pytest.fixture(scope="module")
def few(photographs, tmp_path_factory):
    """A folder of ten photographs."""
    folder = tmp_path_factory.mktemp("photos")
    for path in sorted(photographs.glob("*.jpg"))[::100]:
        (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def templates(few, tmp_path_factory):
    """Flags of a linear network of ImageNet's classes whose weights are the ten photographs: by
    Cauchy-Schwarz it is right on each of them, if their pixels and classes arrive in order."""
    entry = dataclasses.replace(
        ZOO["squeezenet1.1"],
        name="templates",
        shapes={"weight": (32 * 32 * 3, 1000)},
        params_from_flat=lambda flat, *, source: {"weight": jnp.asarray(flat["weight"])},
        apply=lambda params, x: x.reshape(x.shape[0], -1) @ params["weight"] / 10,
        image_shape=(72, 72, 3),
        input_size=32,
        chunk=4,
    )
    weight = np.random.default_rng(0).normal(0, 0.001, (32 * 32 * 3, 1000))
    for path in few.iterdir():
        pixels = read_photograph(path, side=72)[None, 20:52, 20:52]
        template = np.asarray(entry.preprocess(jnp.asarray(pixels, jnp.float32))).ravel()
        weight[:, imagenet_labels()[0].index(path.stem)] = template / np.linalg.norm(template)
    weights = tmp_path_factory.mktemp("weights") / "templates.npz"
    np.savez(weights, weight=weight.astype(np.float32))
    ZOO.register("templates")(entry)
    yield ("--model", "templates", "--weights", weights)
    del ZOO._table["templates"]


@pytest.fixture(
    scope="module", params=["templates", pytest.param("squeezenet1.1", marks=pytest.mark.long)]
)
def finished(request, tmp_path_factory, templates, few, imagenet_weights):
    """A small CPPN run with photographs: its directory, what it printed, and the pictures' side."""
    flags, side = templates, 72
    if request.param == "squeezenet1.1":
        weights = imagenet_weights["squeezenet1.1"]
        flags, side = ("--model", "squeezenet1.1", "--weights", weights), 256
    run = tmp_path_factory.mktemp("runs") / "cppn"
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        assert (
            evolve(run, *flags, *SMALL, "--encoding", "cppn", "--generations", 3, "--photos", few)
            == 0
        )
    return run, said.getvalue(), side


def test_sanity_comes_first(finished):
    _, said, side = finished
    noise = said.index("on 10 pictures of noise its highest confidence is ")
    photographs = said.index("on 10 photographs of ")
    assert noise < photographs < said.index("compiled in ")
    right = float(said.split("in the median, and ")[1].split("%")[0])
    assert right >= {72: 100, 256: 40}[side]


def test_the_end_tells_where_to_look_and_who_is_fooled_most(finished):
    run, said, _ = finished
    assert "of the original's search with this encoding" in said
    assert f"look at {run / 'report.html'}" in said
    with (run / "elites.csv").open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: -float(row["confidence"]))
    output = said.split("most confident: ")[1].splitlines()[0]
    names = [part.rsplit(" ", 1)[0] for part in output.split(", ")]
    assert names == [row["label"].split(",")[0] for row in rows[:5]]


def test_an_elite_for_each_class_in_the_networks_order(finished):
    run, _, side = finished
    with (run / "elites.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == list(imagenet_labels()[1])
    assert (run / "elites" / "0291_lion.png").exists()
    with Image.open(run / rows[0]["png"]) as image:
        assert (image.size, image.mode) == ((side, side), "RGB")
    assert json.loads((run / "run.json").read_text())["png_rescored_max_difference"] <= 1e-5
    assert list(read_metrics(run)["refused_mutations"]) == [0] * 4


def test_the_pages_are_of_a_size_that_opens(finished):
    run, *_ = finished
    page = (run / "report.html").read_text()
    elites, _, ancestors = page.partition('id="ancestors-0">')
    assert elites.count("data:image/webp;base64,") == 1000
    assert ancestors.count("data:image/webp;base64,") > 0
    assert len(page) < 8e6
    assert (run / "contact_sheet.png").exists()


@pytest.fixture(scope="module")
def mean(tmp_path_factory):
    """A mean image, which a test may write again."""
    path = tmp_path_factory.mktemp("mean") / "mean.npy"
    np.save(path, np.full((3, 40, 40), 100.0))
    return path


@pytest.fixture(scope="module")
def tiny(tiny_network, mean):
    return (*tiny_network, "--mean", mean, "--batch-size", 8, "--devices", 2)


# `test_shares.py` and `test_cppn_run.py` resume on other devices, without crops and colour.
@pytest.mark.parametrize(
    ("encoding", "crops"),
    [
        pytest.param("direct", 10, marks=pytest.mark.long),
        pytest.param("cppn", 10, marks=pytest.mark.long),
        pytest.param("direct", 1, marks=pytest.mark.long),
    ],
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


@pytest.fixture(scope="module")
def paused(tmp_path_factory, tiny):
    """A run at its time limit, in bfloat16, and what it printed; tests copy it."""
    run, said = tmp_path_factory.mktemp("runs") / "paused", io.StringIO()
    flags = ("--precision", "bfloat16", "--generations", 5000, "--minutes", 0.0001)
    with contextlib.redirect_stderr(said):
        assert evolve(run, *tiny, *flags) == 0
    return run, said.getvalue()


def test_minutes_pause_a_run_and_resume_goes_on(tmp_path, paused):
    run, said = paused
    command = f"qd-fool evolve --resume --run-dir {run}"
    assert f"0.0001 minutes are over; continue with: {command}" in said
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["generations"]) == ("paused", 5000)
    assert "at its time limit" in (run / "report.html").read_text()
    done, run = record["generations_done"], copy_of(run, tmp_path / "copy")
    assert evolve(run, "--resume", "--generations", done + 1, "--minutes", 5) == 0
    record = json.loads((run / "run.json").read_text())
    assert (record["status"], record["generations_done"]) == ("finished", done + 1)


def test_another_mean_is_another_run(paused, mean, capsys):
    """The test above continues with the same mean."""
    same = mean.read_bytes()
    np.save(mean, np.zeros((3, 40, 40)))
    said = refused(capsys, "evolve", "--resume", "--run-dir", paused[0])
    mean.write_bytes(same)
    assert "mean-sha256 is " in said


def test_another_precision_is_another_run(paused, capsys):
    flags = ("--run-dir", paused[0], "--precision", "float32")
    said = refused(capsys, "evolve", "--resume", *flags)
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
