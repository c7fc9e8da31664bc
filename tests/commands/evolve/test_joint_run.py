"""Runs against several networks at once: what is written, resumed and refused."""

import csv
import json

import numpy as np
import pytest
from command import evolve, refused

from qd_fool.cli import main
from qd_fool.commands.common.networks import load_networks
from qd_fool.files import read_npz
from qd_fool.runs.pictures import read_image
from qd_fool.scoring.score import score_images


@pytest.fixture(scope="module")
def networks(tmp_path_factory, tiny_network):
    """Flags of two networks of one architecture with other weights."""
    other = tmp_path_factory.mktemp("weights") / "other.npz"
    rng = np.random.default_rng(1)
    np.savez(other, weight=rng.normal(0, 0.02, (32 * 32 * 3, 10)).astype(np.float32))
    model, name, _, first, *rest = tiny_network
    flags = (model, name, "--weights", first, model, name, "--weights", other)
    few = ("--encoding", "direct", "--batch-size", 8, "--devices", 2)
    return (*flags, *rest, *few), (first, other)


@pytest.fixture(scope="module")
def run(tmp_path_factory, networks):
    path = tmp_path_factory.mktemp("runs") / "joint"
    assert evolve(path, *networks[0], "--generations", 2) == 0
    return path


def test_a_confidence_is_the_least_of_the_networks(run, networks):
    with (run / "elites.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    images = np.stack([read_image(run / row["png"], channels=3) for row in rows])
    classes = [int(row["class_index"]) for row in rows]
    each = [
        score_images(scorer, images, crops=1, chunk=2)[np.arange(10), classes]
        for scorer in load_networks(["tiny", "tiny"], networks[1])
    ]
    output = [float(row["fitness"]) for row in rows]
    np.testing.assert_allclose(output, np.min(each, axis=0), rtol=1e-4, atol=1e-4)
    assert not np.allclose(each[0], each[1], atol=0.1)


def test_it_says_which_networks_and_goes_on_with_them(run, networks, tmp_path):
    config = json.loads((run / "run.json").read_text())["config"]
    assert (config["model"], config["also"], config["joint"]) == ("tiny", ["tiny"], "least")
    assert config["also_weights"] == [str(networks[1][1])]
    assert "+" in config["weights_sha256"]
    assert evolve(run, "--resume", "--generations", 3) == 0
    assert evolve(tmp_path / "whole", *networks[0], "--generations", 3) == 0
    reference, result = (read_npz(path / "archive.npz") for path in (run, tmp_path / "whole"))
    for name in result:
        np.testing.assert_array_equal(reference[name], result[name])
    assert main(["export", str(run), "--format", "report"]) == 0


def test_another_rule_does_not_go_on(run, capsys):
    output = refused(
        capsys, "evolve", "--run-dir", run, "--resume", "--generations", 4, "--joint", "mean"
    )
    assert "joint" in output


def test_an_ascent_from_it_asks_which_network(run, capsys, tmp_path):
    output = refused(capsys, "ascend", "--from", run, "--run-dir", tmp_path / "a", "--classes", 1)
    assert "expected --model, the network to climb" in output
