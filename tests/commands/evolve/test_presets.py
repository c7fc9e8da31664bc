"""Presets and emitters as the command takes them: what they set, count, resume and refuse."""

import csv
import json

import numpy as np
import pytest
from command import evolve, refused

from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.parts import emitter_shares, encoding_settings
from qd_fool.commands.evolve.plan import fill_in
from qd_fool.commands.evolve.presets import preset_fields, with_preset
from qd_fool.encodings import ENCODINGS
from qd_fool.encodings.direct_settings import DirectSettings
from qd_fool.files import read_npz
from qd_fool.map_elites.config import MapElitesConfig
from qd_fool.map_elites.evaluations import offspring_of
from qd_fool.models import load_scorer


@pytest.mark.parametrize("encoding", ["cppn", "direct"])
@pytest.mark.parametrize("model", ["lenet", "squeezenet1.1"])
def test_a_preset_sets_what_its_encoding_and_emitters_have(encoding, model):
    """It is applied where it is named, in Python as in the command."""
    config = with_preset(EvolveConfig(model=model, encoding=encoding, preset="fast"))
    for name, value in preset_fields("fast", model=model, encoding=encoding).items():
        assert config.settings.get(name, getattr(config, name, None)) == value
    assert config != with_preset(EvolveConfig(model=model, encoding=encoding))
    assert with_preset(config) == config
    assert ENCODINGS[encoding].settings(**encoding_settings(config))
    assert MapElitesConfig(
        batch_size=config.batch_size or 200, chunk=config.chunk or 2,
        emitters=emitter_shares(config),
    )  # fmt: skip


def test_what_is_given_beats_the_preset():
    settings = {"coords": "raw", "zoom": 0.5}
    config = EvolveConfig("squeezenet1.1", "cppn", preset="fast", batch_size=7, settings=settings)
    filled = with_preset(config)
    assert filled.batch_size == 7
    assert (filled.settings["coords"], filled.settings["zoom"]) == ("raw", 0.5)
    assert (filled.settings["color"], filled.settings["parents"]) == ("hsv", "young")


def test_a_presets_setting_of_an_emitter_that_is_not_used_has_no_effect():
    config = EvolveConfig("squeezenet1.1", "cppn", preset="fast", emitters="gradient")
    assert "parents" not in with_preset(config).settings


def test_the_chunk_leaves_room_for_the_smallest_share():
    """A mixture works with whatever chunk a network has by itself."""
    scorer = load_scorer("lenet")
    config = EvolveConfig(emitters="variation:3,gradient:1")
    filled = fill_in(config, scorer, side=28, on_cpu=True)
    made = MapElitesConfig(
        batch_size=filled["batch_size"], chunk=filled["chunk"], emitters=emitter_shares(config)
    )
    assert offspring_of(made) == [150, 50]
    assert fill_in(EvolveConfig(), scorer, side=28, on_cpu=True)["chunk"] == 100


def test_without_a_gradient_the_operators_stay():
    """Only the gradient emitter needs a gradient. Its small chunk goes with it."""
    facts = {"encoding": "cppn", "model": "squeezenet1.1"}
    assert preset_fields("fast", **facts, gradient=False) == preset_fields("fast", **facts)
    assert preset_fields("fast", model="lenet", encoding="direct", gradient=False) == {
        "batch_size": 20
    }
    assert preset_fields("fast", model="squeezenet1.1", encoding="direct", gradient=False) == {}


def test_the_papers_preset_is_the_defaults():
    assert preset_fields("paper", model="lenet", encoding="direct") == {}
    filled = with_preset(EvolveConfig())
    assert filled.emitters == "variation"
    assert emitter_shares(filled) == emitter_shares(EvolveConfig())
    assert DirectSettings(**encoding_settings(filled)) == DirectSettings()


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    """Six generations of the fast preset, in two parts."""
    run = tmp_path_factory.mktemp("runs") / "fast"
    flags = ("--preset", "fast", "--gradient-steps", 2)
    assert evolve(run, *flags, "--generations", 3, "--devices", 2) == 0
    assert evolve(run, "--resume", "--generations", 6) == 0
    return run


def test_a_preset_fills_in_and_flags_beat_it(fast):
    config = json.loads((fast / "run.json").read_text())["config"]
    for name, value in preset_fields("fast", model="lenet", encoding="direct").items():
        assert config[name] == value
    assert config["preset"] == "fast"
    assert config["gradient_steps"] == 2


def test_gradient_steps_are_counted_in_metrics(fast):
    """An offspring's score, and of every other offspring two steps of four."""
    run = json.loads((fast / "run.json").read_text())
    batch = run["config"]["batch_size"]
    with (fast / "metrics.csv").open(newline="") as file:
        counted = [int(row["evaluations"]) for row in csv.DictReader(file)]
    assert counted == [batch + g * (batch + batch // 2 * 2 * 4) for g in range(7)]
    assert run["evaluations"] == counted[-1]
    assert run["png_rescored_max_difference"] < 1e-5


def test_resuming_changes_no_bit(fast, tmp_path):
    """Nor do other devices: `emitters/test_contract.py` has a mixture on one and on four."""
    assert evolve(tmp_path / "whole", "--preset", "fast", "--gradient-steps", 2,
                  "--generations", 6, "--devices", 2) == 0  # fmt: skip
    whole, parts = read_npz(tmp_path / "whole" / "archive.npz"), read_npz(fast / "archive.npz")
    assert whole.keys() == parts.keys()
    for name in whole:
        np.testing.assert_array_equal(whole[name], parts[name])


@pytest.mark.parametrize(
    ("flags", "output"),
    [
        (("--preset", "fats"), "--preset is 'fats': expected paper or fast"),
        (("--emitters", "mutation"), "--emitters names 'mutation': expected variation, gradient"),
        (("--emitters", "variation:many"), "--emitters has 'variation:many': expected a number"),
        (("--emitters", "variation,gradient:-1"), "its share is -1.0, expected above 0"),
        (("--emitters", "variation,variation"), "expected each at most once"),
        (("--gradient-steps", 3), "--gradient-steps applies only to the gradient emitter"),
        (
            ("--emitters", "gradient", "--parents", "weak"),
            "--parents applies only to the variation emitter; --emitters is gradient",
        ),
        (
            ("--emitters", "variation,gradient", "--batch-size", 50, "--chunk", 50),
            "its share of 1 chunks of 50 is less than one",
        ),
    ],
)
def test_one_sentence(capsys, tmp_path, flags, output):
    assert output in refused(capsys, "evolve", "--run-dir", tmp_path / "run", *flags)
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_with_the_preset_it_began_with(capsys, fast):
    said = refused(capsys, "evolve", "--run-dir", fast, "--resume", "--preset", "paper")
    assert "preset is 'paper', the run has 'fast'" in said
