"""Adaptive shares in the command: recorded, resumed to the same bits, ended by the budget."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from command import evolve, refused

import qd_fool
from qd_fool.commands.evolve import loop
from qd_fool.emitters import OperatorSettings, Share
from qd_fool.files import read_npz
from qd_fool.map_elites.config import MapElitesConfig
from qd_fool.map_elites.division import begin_tuning
from qd_fool.map_elites.state import init
from qd_fool.runs.metrics import read_metrics

FLAGS = (
    *("--encoding", "direct", "--emitters", "variation:3,fine,gradient", "--shares", "adaptive"),
    *("--batch-size", "20", "--chunk", "5", "--gradient-steps", "2", "--checkpoint-every", "3"),
)

FINE = (Share("fine", 1.0, OperatorSettings()),)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run whose generations cost 20 to 180 evaluations."""
    run_dir = tmp_path_factory.mktemp("shares") / "whole"
    evolve(run_dir, *FLAGS, "--evaluations", "1500", "--devices", "2")
    return run_dir


def test_metrics_hold_each_emitters_share_and_gain(whole):
    metrics = read_metrics(whole)
    names = ("variation", "fine", "gradient")
    shares = np.stack([metrics[f"share_{name}"] for name in names])
    np.testing.assert_array_equal(shares[:, 0], 0)  # random individuals
    np.testing.assert_allclose(shares[:, 1:].sum(axis=0), 1)
    gains = sum(metrics[f"gain_{name}"] for name in names)[1:]
    added = np.diff(metrics["mean_confidence"]) * 10
    np.testing.assert_allclose(gains, added, atol=10 / 2**12)


def test_the_budget_ends_the_run(whole):
    record = json.loads((whole / "run.json").read_text("utf-8"))
    spent = read_metrics(whole)["evaluations"]
    assert (record["status"], record["evaluations"]) == ("finished", spent[-1])
    assert record["feedback"] is True
    dearest = 20 * (1 + 2 * 4)
    assert 1500 - dearest < spent[-1] <= 1500


def test_a_resumed_run_has_the_same_bits(whole, tmp_path):
    """Also in parts of other lengths, and on another number of devices, whose program takes some
    seconds to compile."""
    run_dir = tmp_path / "parts"
    evolve(run_dir, *FLAGS, "--evaluations", "600", "--devices", "1")
    evolve(run_dir, "--resume", "--evaluations", "1500", "--devices", "2")
    for name in ("archive.npz", "lineage.npz"):
        a, b = read_npz(whole / name), read_npz(run_dir / name)
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_array_equal(a[key], b[key])
    assert "feedback.scale" in read_npz(whole / "archive.npz")
    a, b = read_metrics(whole), read_metrics(run_dir)
    for key in a.keys() - {"seconds"}:
        np.testing.assert_array_equal(a[key], b[key])


def test_a_finished_budget_has_nothing_left_to_do(whole):
    before = (whole / "archive.npz").read_bytes()
    evolve(whole, "--resume")
    assert (whole / "archive.npz").read_bytes() == before


@pytest.mark.parametrize(
    ("flags", "output"),
    [
        (
            ("--emitters", "variation,edge"),
            "emitter edge: the direct encoding has no such operator",
        ),
    ],
)
def test_bad_flags(capsys, tmp_path, flags, output):
    assert output in refused(capsys, "evolve", "--run-dir", tmp_path / "run", *flags)


@pytest.mark.parametrize(
    ("minutes", "after", "tune_from"),
    [
        (None, 99.0, 7),  # the plan's generation holds
        (1.0, 29.0, 7),
        (1.0, 31.0, 3),  # half of the minutes are over before that generation
    ],
)
def test_tuning_begins_by_generation_or_by_the_clock(monkeypatch, minutes, after, tune_from):
    config = MapElitesConfig(emitters=FINE, shares="adaptive", tune_after=0.5)
    planned = SimpleNamespace(map_elites=config, config=SimpleNamespace(minutes=minutes))
    encoding = qd_fool.make_encoding("direct", (3, 1, 1))
    state = begin_tuning(init(encoding, 2, seed=0, feedback=True), 7)
    tuning = loop._Tuning(planned, started=0.0)
    monkeypatch.setattr(loop, "time", SimpleNamespace(monotonic=lambda: after))
    assert int(tuning.begun(state, generation=3).feedback.tune_from) == tune_from
