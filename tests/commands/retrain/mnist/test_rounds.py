"""Retraining on MNIST: rounds, seeds, resume, tables and refusals; with stand-ins for training and
evolution, and once for real."""

import csv
import dataclasses
import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qd_fool.commands.common.console import make_console
from qd_fool.commands.retrain.config import RetrainConfig
from qd_fool.commands.retrain.mnist import rounds as retrain_mnist
from qd_fool.commands.retrain.mnist import tools as retrain_tools
from qd_fool.commands.retrain.mnist.pictures import write_pictures
from qd_fool.commands.retrain.mnist.plan import plan_mnist, round_seeds
from qd_fool.commands.retrain.mnist.tools import Tools, TrainingSet, make_tools
from qd_fool.commands.retrain.run import retrain_run, stored_retrain
from qd_fool.errors import UserError
from qd_fool.files import read_npz
from qd_fool.models import load_scorer
from qd_fool.models.architectures.lenet import LeNet
from qd_fool.models.class_names import class_labels
from qd_fool.models.readers.read import read_weights
from qd_fool.models.retrained import is_retrained
from qd_fool.runs.directory import read_run
from qd_fool.training.lenet import RECIPES

TINY = {"seeds": 3, "held_out_seeds": 1, "rounds": 3, "encoding": "direct"}


def digits(split, data_dir=None):
    n = {"train": 40, "test": 20}[split]
    images = np.random.default_rng(n).integers(0, 200, (n, 28, 28, 1), dtype=np.uint8)
    return images, np.arange(n, dtype=np.int32) % 10


@pytest.fixture
def stand_ins(monkeypatch):
    """A network that calls dark pictures their first pixel, and bright ones fooling if it can."""
    trained = []
    parameters = jax.eval_shape(LeNet(classes=11).init, jax.random.key(0), np.zeros((1, 28, 28, 1)))
    weights = jax.tree.map(lambda s: np.zeros(s.shape, np.float32), parameters)

    def make(planned, **_):
        def train(training_set, *, classes, seed, tick):
            count = training_set.count
            fooling = np.asarray(training_set.labels[:count]) == 10
            trained.append((count, int(fooling.sum()), classes, seed, len(training_set.images)))
            params = jax.tree.map(np.copy, weights)
            ip2 = params["params"]["ip2"]
            params["params"]["ip2"] = {name: a[..., :classes] for name, a in ip2.items()}
            params["params"]["ip2"]["bias"][0] = seed % 1000
            return None if tick() else jax.tree.map(jnp.asarray, params)

        def evolve(encoding, params, *, seeds, tick):
            shape = (len(seeds), 10, 28, 28, 1)
            bright = 255 if encoding == "direct" else 100
            images = np.full(shape, bright, np.uint8)
            images[:, :, 0, 0, 0] = np.arange(10)
            images[:, :, 1, 1, 0] = (seeds % 250)[:, None]
            return None if tick() else (images, np.tile(np.arange(10) * 20 - 20, (len(seeds), 1)))

        def score(params, images):
            classes = len(params["params"]["ip2"]["bias"])
            out = np.zeros((len(images), classes), np.float32)
            out[np.arange(len(images)), images[:, 0, 0, 0] % 10] = 12.0
            if classes > 10:
                out[:, 10] = np.where(images.mean(axis=(1, 2, 3)) > 200, 20.0, -20.0)
            return out

        return Tools(train, evolve, score, 4)

    monkeypatch.setattr(retrain_mnist, "make_tools", make)
    monkeypatch.setattr(retrain_mnist, "load_mnist", digits)
    # Drawn in one test only: plots take most of the time.
    monkeypatch.setattr(retrain_mnist, "write_pictures", lambda *_, **__: None)
    return trained


def quiet():
    return make_console(file=io.StringIO())


def retrain(run_dir, **fields):
    config = RetrainConfig(**({"run_dir": run_dir} | TINY | fields))
    return retrain_run(config, console=quiet())


def content(run_dir):
    """All that does not tell the time."""
    rows = json.loads((run_dir / "table.json").read_text())["rows"]
    for row in rows:
        del row["training_seconds"], row["evolution_seconds"]
    rounds = sorted(path for path in run_dir.iterdir() if path.name.startswith("round_"))
    arrays = [{k: v.tolist() for k, v in read_npz(r / "images.npz").items()} for r in rounds]
    return rows, arrays, [(r / "network.safetensors").read_bytes() for r in rounds]


def test_each_round_learns_what_fooled_all_before(tmp_path, stand_ins):
    result = retrain(tmp_path / "a")
    assert not result.interrupted
    # Count, fooling images among them, classes, and room for the last round's: one shape for all.
    output = [(count, fooling, classes, room) for count, fooling, classes, _, room in stand_ins]
    assert output == [(40, 0, 10, 100), (70, 30, 11, 100), (100, 60, 11, 100)]
    rows = result.rows
    assert [row["network"] for row in rows] == ["DNN_1", "DNN_2", "DNN_3"]
    assert [row["training_images"] for row in rows] == [40, 70, 100]
    assert [row["caught"] for row in rows] == [None, 1.0, 1.0]
    assert [row["caught_held_out"] for row in rows] == [None, 1.0, 1.0]
    assert [row["caught_other"] for row in rows] == [None, 0.0, 0.0]
    assert rows[0]["share_99"] == 1.0
    assert rows[0]["pictures"] == 30
    assert rows[0]["evaluations_to_99"] == 90  # the median of never, 0, 20 ... 160
    assert rows[0]["median_low"] <= rows[0]["median_confidence"] <= rows[0]["median_high"]
    pictures = read_npz(tmp_path / "a/round_02/images.npz")
    assert pictures["images"].shape == (50, 28, 28, 1)
    assert list(pictures["group"]) == ["evolved"] * 30 + ["held out"] * 10 + ["other encoding"] * 10
    np.testing.assert_array_equal(pictures["cell"], np.tile(np.arange(10), 5))
    run = read_run(tmp_path / "a")
    assert (run["status"], run["kind"], run["rounds"]) == ("finished", "retraining", 3)


def test_tables_and_pictures(tmp_path, stand_ins):
    rows = retrain(tmp_path / "a").rows
    write_pictures(tmp_path / "a", rows, other="cppn")
    with (tmp_path / "a/table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["round"] for row in rows] == ["1", "2", "3"]
    text = (tmp_path / "a/table.md").read_text()
    assert "| DNN_3 |" in text
    assert "40 digits" not in text
    for name in ("retrain.png", "contact_sheet.png"):
        assert (tmp_path / "a" / name).read_bytes().startswith(b"\x89PNG")
    assert not list((tmp_path / "a").glob(".*partial*"))


def test_a_network_of_a_round_is_one_of_the_zoo(tmp_path, stand_ins):
    retrain(tmp_path / "a", rounds=2)
    first, second = (
        load_scorer("lenet", weights=tmp_path / f"a/round_0{i}/network.safetensors") for i in (1, 2)
    )
    assert len(first.class_names) == 10
    assert second.class_names[10] == "fooling image"
    # Ten classes are an ordinary LeNet; eleven are in the format of all retrained networks.
    flats = [read_weights(tmp_path / f"a/round_0{i}/network.safetensors")[0] for i in (1, 2)]
    assert [is_retrained(flat) for flat in flats] == [False, True]
    assert read_run(tmp_path / "a")["labels"] == "digits"
    assert class_labels(read_run(tmp_path / "a"), {}) == (second.class_names, ())


def test_seeds_differ_by_round_and_use(tmp_path, stand_ins):
    rows = retrain(tmp_path / "a").rows
    every = [
        seed
        for row in rows
        for name in ("evolved_seeds", "held_out_seeds", "other_seeds")
        for seed in row[name]
    ] + [row["training_seed"] for row in rows]
    assert len(every) == len(set(every)) == 3 * (3 + 1 + 1 + 1)
    same = round_seeds(0, 2, seeds=3, held_out=1)
    assert same.training == rows[1]["training_seed"]
    assert list(same.evolved) == rows[1]["evolved_seeds"]
    assert round_seeds(1, 2, seeds=3, held_out=1).training != same.training


@pytest.mark.parametrize("stopped_in", ["train", "evolve"])
def test_a_round_that_was_cut_off_is_done_again(tmp_path, stand_ins, monkeypatch, stopped_in):
    whole = retrain(tmp_path / "whole")
    make = retrain_mnist.make_tools

    def stopping(planned, **_):
        tools = make(planned)
        calls = []

        def cut(*arguments, **settings):
            calls.append(None)
            # As if Ctrl-C came: the piece of work must stop.
            second = len(calls) > (1 if stopped_in == "train" else 4)
            return getattr(tools, stopped_in)(*arguments, **settings | {"tick": lambda: second})

        return dataclasses.replace(tools, **{stopped_in: cut})

    monkeypatch.setattr(retrain_mnist, "make_tools", stopping)
    cut = retrain(tmp_path / "cut")
    assert cut.interrupted
    assert len(cut.rows) == 1
    assert read_run(tmp_path / "cut")["status"] == "interrupted"
    (tmp_path / "cut/.round_02.partial").mkdir()  # as a crash leaves it
    monkeypatch.setattr(retrain_mnist, "make_tools", make)
    again = retrain_run(stored_retrain(tmp_path / "cut"), console=quiet())
    assert not again.interrupted
    assert content(tmp_path / "cut") == content(tmp_path / "whole")
    assert len(again.rows) == len(whole.rows)


def test_more_rounds_may_be_asked_for(tmp_path, stand_ins):
    retrain(tmp_path / "a", rounds=1)
    assert len(retrain(tmp_path / "a", rounds=3, resume=True).rows) == 3
    before = len(stand_ins)
    assert len(retrain(tmp_path / "a", rounds=3, resume=True).rows) == 3
    assert len(stand_ins) == before
    retrain(tmp_path / "b")
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_what_differs_on_resume_is_named(tmp_path, stand_ins):
    retrain(tmp_path / "a", rounds=1)
    with pytest.raises(UserError, match="seeds is 4, the run has 3"):
        retrain(tmp_path / "a", rounds=1, seeds=4, resume=True)
    with pytest.raises(UserError, match="not empty: pass --resume"):
        retrain(tmp_path / "a")
    assert stored_retrain(tmp_path / "a") == RetrainConfig(
        run_dir=tmp_path / "a", resume=True, **(TINY | {"rounds": 1})
    )


def test_resume_of_nothing_begins(tmp_path, stand_ins):
    assert len(retrain(tmp_path / "new", rounds=1, resume=True).rows) == 1


def test_none_held_out(tmp_path, stand_ins):
    rows = retrain(tmp_path / "a", rounds=2, held_out_seeds=0).rows
    assert rows[1]["caught"] == 1.0
    assert rows[1]["caught_held_out"] is rows[1]["caught_other"] is None
    assert rows[1]["other_median_confidence"] is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"epochs": 3}, "--epochs 3 applies only to networks of ImageNet"),
        (
            {"model": "squeezenet1.1", "recipe": "caffe"},
            "--recipe caffe applies only to networks of MNIST",
        ),
        ({"model": "nothing"}, "nothing"),
        ({"evaluations": 7}, "expected 20 or more"),
        ({"encoding": "nothing"}, "nothing"),
        ({"preset": "nothing"}, "--preset"),
    ],
)
def test_refusals(tmp_path, stand_ins, fields, words):
    defaults = {} if "model" not in fields else {"seeds": 100, "held_out_seeds": 10}
    with pytest.raises(UserError, match=words):
        retrain(tmp_path / "a", **(defaults | fields))
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"config": {}}', '{"kind": "ascent", "config": {}}', '{"config": 3}']
)
def test_damaged_settings_are_told(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError):
        stored_retrain(tmp_path)


def test_budgets_are_whole_generations():
    planned = plan_mnist(RetrainConfig(encoding="direct", evaluations=1000))
    assert planned.generations == {"direct": 2, "cppn": 49}
    spent = {name: evolution.evaluations(planned.generations[name]) for name, evolution in
             planned.evolutions.items()}  # fmt: skip
    assert spent == {"direct": 700, "cppn": 1000}
    paper = plan_mnist(RetrainConfig(encoding="cppn", preset="paper"))
    assert paper.generations == {"cppn": 200, "direct": 200}


def test_tools_for_real(monkeypatch):
    """A few steps on noise, then evolution against what they gave: ten classes, and eleven."""
    short = dataclasses.replace(RECIPES["short"], steps=3, batch_size=4)
    monkeypatch.setitem(RECIPES, "short", short)
    monkeypatch.setattr(retrain_tools, "GROUP", 4)
    planned = plan_mnist(
        RetrainConfig(encoding="direct", preset="paper", evaluations=200, held_out_seeds=0, seeds=5)
    )
    tools = make_tools(planned)
    assert tools.pieces == 1 + 2
    training_set = TrainingSet(*map(jnp.asarray, digits("train")), 30)
    ticks = []

    def tick():
        return bool(ticks.append(None))

    params = tools.train(training_set, classes=11, seed=0, tick=tick)
    seeds = np.array([1, 2, 3, 4, 2], np.uint32)
    found, evaluations = tools.evolve("direct", params, seeds=seeds, tick=tick)
    assert len(ticks) == tools.pieces
    assert found.shape == (5, 10, 28, 28, 1)
    np.testing.assert_array_equal(found[1], found[4])
    assert np.isin(evaluations, (-1, 200)).all()
    assert tools.score(params, found[0]).shape == (10, 11)
    assert tools.train(training_set, classes=11, seed=0, tick=lambda: True) is None
