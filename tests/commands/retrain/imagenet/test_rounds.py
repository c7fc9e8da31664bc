"""Retraining on ImageNet: each step once, resume, tables of what happened, and refusals."""

import csv
import dataclasses
import json
import shutil
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.plan import plan
from qd_fool.commands.retrain.config import RetrainConfig
from qd_fool.commands.retrain.imagenet.rounds import retrain_imagenet
from qd_fool.commands.retrain.imagenet.tables import confidences_at, median_curve
from qd_fool.commands.retrain.imagenet.training import STEPS_AT_ONCE, what_learns
from qd_fool.errors import UserError
from qd_fool.models import ZOO, load_scorer
from qd_fool.models.labels import imagenet_labels
from qd_fool.models.retrained import NEW_CLASS
from qd_fool.runs.directory import read_run
from qd_fool.runs.elites import read_elites

SIDE, SIZE = 12, 10
MODEL = "tiny-head"


@pytest.fixture(scope="module", autouse=True)
def network(tmp_path_factory):
    """A file of weights of a small network with ImageNet's classes, registered for these tests."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.npz"
    np.savez(path, weight=rng.normal(0, 0.2, (SIZE * SIZE * 3, 1000)).astype(np.float32))

    def params_from_flat(flat, *, source):
        return {"head": {"kernel": jnp.asarray(flat["weight"]), "bias": jnp.zeros(1000)}}

    def apply(params, x):
        x = x.reshape(x.shape[0], -1)
        return x @ params["head"]["kernel"] + params["head"]["bias"][None]

    entry = dataclasses.replace(
        ZOO["squeezenet1.1"],
        name=MODEL,
        shapes={"weight": (SIZE * SIZE * 3, 1000)},
        params_from_flat=params_from_flat,
        apply=apply,
        image_shape=(SIDE, SIDE, 3),
        input_size=SIZE,
        chunk=4,
    )
    ZOO.register(MODEL)(entry)
    yield path
    del ZOO._table[MODEL]


@pytest.fixture(scope="module", autouse=True)
def no_reports():
    """Pages of a thousand thumbnails are tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qd_fool.commands.common.record.write_report", lambda run_dir: None)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 24 pictures named by their class."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    for wnid in imagenet_labels()[0][:24]:
        pixels = np.full((32, 32, 3), rng.integers(0, 256, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{wnid}.png")
    return folder


@pytest.fixture(scope="module")
def config(network, photos):
    return RetrainConfig(
        model=MODEL, weights=network, photos=str(photos), encoding="direct", preset="paper",
        evaluations=800, epochs=2, learning_rate=0.01, distillation=1.0,
    )  # fmt: skip


def silent():
    return Console(quiet=True)


@pytest.fixture(scope="module")
def finished(tmp_path_factory, config):
    run = tmp_path_factory.mktemp("retrain") / "run"
    result = retrain_imagenet(config, run, console=silent())
    assert not result.interrupted
    return run, result


def test_each_step_leaves_its_result(finished, network):
    run, _ = finished
    names = {path.name for path in run.iterdir()}
    assert names == {
        "settings.json", "before", "held_out", "round_1", "retrain.json", "retrain.csv",
        "retrain.md", "retrain_curves.png", "retrain_pictures.png",
    }  # fmt: skip
    assert read_run(run / "before")["evaluations"] == 800
    assert read_run(run / "held_out")["evaluations"] == 400  # one generation at least
    assert read_run(run / "held_out")["config"]["seed"] == 1000
    after = read_run(run / "round_1" / "after")
    assert (after["classes"], after["config"]["weights"]) == (
        1001,
        str(run / "round_1" / "network.safetensors"),
    )
    assert read_elites(run / "round_1" / "after")[-1]["label"] == NEW_CLASS
    with (run / "round_1" / "training.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) % STEPS_AT_ONCE == 0
    assert float(rows[-1]["cross_entropy"]) < float(rows[0]["cross_entropy"])
    first, taught = (
        load_scorer(MODEL, weights=path)
        for path in (network, run / "round_1" / "network.safetensors")
    )
    kernel = taught.params["head"]["kernel"]
    np.testing.assert_array_equal(kernel[:, :1000], first.params["head"]["kernel"])
    assert (np.asarray(kernel[:, 1000]) != 0).any()


def test_the_table_says_what_the_runs_hold(finished):
    run, result = finished
    table = json.loads((run / "retrain.json").read_text())
    assert [row["network"] for row in table["rows"]] == ["the first network", "network 1"]
    assert table["rows"] == result.rows
    assert "not a validation accuracy" in table["caveat"]
    before, after = table["rows"][0], table["rows"][1]
    for row, folder in ((before, "before"), (after, "round_1/after")):
        held = np.zeros(1000)
        for elite in read_elites(run / folder):
            if int(elite["class_index"]) < 1000:
                held[int(elite["class_index"])] = float(elite["confidence"])
        assert row["median"] == pytest.approx(np.median(held))
        assert row["median_low"] <= row["median"] <= row["median_high"]
        assert row["cells_over_99"] == (held >= 0.99).sum()
    assert "mann_whitney_p" not in before
    assert 0 <= after["mann_whitney_p"] <= 1
    for name in ("top1", "top5", "taken", "caught_trained", "caught_held_out"):
        assert 0 <= after[name] <= 1
    # All else is as it was: what is lost was taken.
    assert before["top1"] - after["taken"] <= after["top1"] <= before["top1"]
    text = (run / "retrain.md").read_text()
    assert "| network 1 |" in text
    assert table["command"] in text
    assert "--photos" in table["command"]


def test_a_run_is_read_at_any_evaluations(finished):
    run, _ = finished
    before = run / "before"
    early, late = (confidences_at(before, n, classes=1000) for n in (200, 800))
    assert (early <= late).all()
    assert early.mean() < late.mean()
    at, median = median_curve(before, classes=1000, points=5)
    assert (at[0], at[-1]) == (200, 800)
    assert (np.diff(median) >= 0).all()
    assert median[-1] == np.median(late)


def test_resume_does_only_what_is_not_there(tmp_path, finished, config, monkeypatch):
    run, result = finished
    again = dataclasses.replace(config, resume=True)
    network = (run / "round_1" / "network.safetensors").stat().st_mtime_ns
    shutil.move(run / "held_out", tmp_path)
    evolved = []

    def brought_back(config, **_):
        evolved.append((config.run_dir.name, config.resume))
        shutil.move(tmp_path / "held_out", run)
        return SimpleNamespace(interrupted=False)

    monkeypatch.setattr("qd_fool.commands.retrain.imagenet.rounds.evolve_run", brought_back)
    assert retrain_imagenet(again, run, console=silent()).rows == result.rows
    assert evolved == [("held_out", False)]
    assert (run / "round_1" / "network.safetensors").stat().st_mtime_ns == network


def test_ctrl_c_ends_it_and_the_rest_waits(tmp_path, config, monkeypatch):
    def interrupted(config, **_):
        return SimpleNamespace(interrupted=True)

    monkeypatch.setattr("qd_fool.commands.retrain.imagenet.rounds.evolve_run", interrupted)
    result = retrain_imagenet(config, tmp_path / "run", console=silent())
    assert result.interrupted
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"settings.json"}


@pytest.fixture
def nothing_new(finished, monkeypatch):
    """Trainings and evolutions are copies of the first round's; how they were called for."""
    first_round, calls = finished[0] / "round_1", []

    def train(scorer, config, *, evolved, folder, **_):
        calls.append(len(evolved))
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(first_round / "network.safetensors", folder)

    def evolve(config, **_):
        calls.append(config)
        shutil.copytree(first_round / "after", config.run_dir)
        return SimpleNamespace(interrupted=False)

    monkeypatch.setattr("qd_fool.commands.retrain.imagenet.rounds.train_round", train)
    monkeypatch.setattr("qd_fool.commands.retrain.imagenet.rounds.evolve_run", evolve)
    return calls


def distinct(run):
    return len({row["id"] for row in read_elites(run) if int(row["class_index"]) < 1000})


def test_a_second_round_learns_from_all_pictures_so_far(tmp_path, finished, config, nothing_new):
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    more = dataclasses.replace(config, rounds=2, resume=True)
    result = retrain_imagenet(more, run, console=silent())
    first, second, evolution = nothing_new
    assert first == distinct(run / "before")
    assert second == first + distinct(run / "round_1" / "after")
    assert (evolution.weights, evolution.run_dir, evolution.seed) == (
        run / "round_2" / "network.safetensors",
        run / "round_2" / "after",
        0,
    )
    assert [row["network"] for row in result.rows][2:] == ["network 2"]
    assert "| network 2 |" in (run / "retrain.md").read_text()


def test_a_run_that_is_there_already_comes_first(tmp_path, finished, config, nothing_new):
    before, run = finished[0] / "before", tmp_path / "run"
    given = dataclasses.replace(config, evolved=before, evaluations=None)
    result = retrain_imagenet(given, run, console=silent())
    assert not (run / "before").exists()
    held_out, pictures, after = nothing_new
    assert (held_out.generations, held_out.seed) == (1, 1000)
    assert pictures == distinct(before)
    assert (after.generations, after.seed, after.batch_size) == (3, 0, 200)
    assert result.rows[0] == finished[1].rows[0]


def refused(config, run):
    with pytest.raises(UserError) as caught:
        retrain_imagenet(config, run, console=silent())
    return str(caught.value)


def test_refusals(tmp_path, finished, config, photos):
    run, new = finished[0], tmp_path / "new"
    change = dataclasses.replace
    assert "pass --resume" in refused(config, run)
    said = refused(change(config, resume=True, epochs=3), run)
    assert "epochs is 3, the run has 2" in said
    assert "--photos is missing" in refused(change(config, photos=None), new)
    assert "lenet is no network of ImageNet" in refused(RetrainConfig(model="lenet"), new)
    network = run / "round_1" / "network.safetensors"
    assert "has a class of fooling images already" in refused(change(config, weights=network), new)
    after = run / "round_1" / "after"
    assert "its network is tiny-head" in refused(change(config, evolved=after), new)
    assert "is not a run directory" in refused(change(config, evolved=photos), new)
    assert "no such folder" in refused(change(config, photos="./no"), new)
    assert not new.exists()


def test_a_network_of_other_blocks_learns_in_its_head_only(network):
    scorer = load_scorer(MODEL, weights=network)
    with pytest.raises(UserError, match="has none of the layers fire9, "):
        what_learns(dataclasses.replace(scorer, params={"only": scorer.params["head"]}), "blocks")
    flat = {k: np.zeros(s, np.float32) for k, s in ZOO["squeezenet1.1"].shapes.items()}
    params = ZOO["squeezenet1.1"].params_from_flat(flat, source="zeros")
    learns = what_learns(dataclasses.replace(scorer, params=params), "blocks")
    assert learns("params/fire9/squeeze/kernel")
    assert learns("params/conv10/bias")
    assert not learns("params/fire8/squeeze/kernel")


def test_the_retrained_network_evolves_as_any_other(finished):
    planned = plan(
        EvolveConfig(
            model=MODEL, weights=finished[0] / "round_1" / "network.safetensors", generations=1
        )
    )
    assert len(planned.subject.scorer.class_names) == 1001
