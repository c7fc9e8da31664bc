"""Networks of a transfer: those that a run was made against, stand-ins, and names."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from transfer_networks import directions, refusal, rows_of

from qd_fool.commands.common.console import make_console
from qd_fool.commands.transfer.networks import all_networks, load_targets, named
from qd_fool.commands.transfer.sources import read_sources
from qd_fool.models import load_scorer


def test_a_network_that_has_changed_or_gone_is_stood_in_for(run_dir, transfer, tmp_path, tiny):
    path = run_dir / "run.json"
    record = json.loads(path.read_text())
    with (run_dir / "elites.csv").open(newline="") as file:
        elites = [float(row["confidence"]) for row in csv.DictReader(file)]
    record["config"]["weights"] = str(tmp_path / "gone.npz")
    path.write_text(json.dumps(record))
    # The same weights by another path are the same network.
    networks = load_targets(("tiny-a",), (tiny["tiny-a"],), mean=None)
    console = make_console()
    with read_sources([run_dir], networks[0].scorer, console=console) as sources:
        assert all_networks(sources, networks, console=console) == (networks, [[0]])
    for weights, words in ((tiny["tiny-b"], "has sha256"), (tmp_path / "gone.npz", "gone.npz")):
        record["config"]["weights"] = str(weights)
        path.write_text(json.dumps(record))
        out, figures, said = transfer(run_dir)
        assert said.count("warning: run: tiny-a is not scored") == 1
        assert words in said
        scored_again = [
            float(row["confidence"]) for row in rows_of(out) if row["network"] == "tiny-a"
        ]
        assert scored_again == pytest.approx(elites)
        assert figures["networks"][0]["scored"] is False
        assert figures["sources"][0]["pairs"][0]["at"]["0.99"]["both"] == 2


def test_a_joint_run_has_several_networks_of_its_own(run_dir, transfer, tiny):
    path = run_dir / "run.json"
    record = json.loads(path.read_text())
    digest = load_scorer("tiny-b", weights=tiny["tiny-b"]).weights_sha256
    record["config"] |= {"also": ["tiny-b"], "also_weights": [str(tiny["tiny-b"])]}
    record["config"]["weights_sha256"] += f"+{digest}"
    record["config"]["weights"] = "gone.npz"  # which leaves no figures of tiny-a
    path.write_text(json.dumps(record))
    _, figures, _ = transfer(run_dir, to=("tiny-wide",))
    (source,) = figures["sources"]
    assert (source["kind"], source["networks"]) == ("joint", ["tiny-a", "tiny-b"])
    assert source["networks_fooled"]["tiny-a"] is None
    assert [(pair["a"], pair["b"]) for pair in source["pairs"]] == [("tiny-b", "tiny-wide")]
    record["config"]["also"] = []
    path.write_text(json.dumps(record))
    assert "expected the same number" in refusal(transfer, run_dir, out=run_dir / "other")


def test_names(tiny, tmp_path):
    other = tmp_path / "other.npz"
    np.savez(other, weight=directions(5))
    networks = load_targets(("tiny-a", "tiny-a"), (tiny["tiny-a"], other), mean=None)

    def names(*more):
        return [network.name for network in named(*more)]

    assert names(networks, networks, ()) == ["tiny-a (a)", "tiny-a (other)"]
    assert names(networks, networks[1:], ("held out",)) == ["tiny-a (a)", "held out"]
    assert names(networks[:1], networks[:1], ()) == ["tiny-a"]
    alike = [networks[0], dataclasses.replace(networks[1], weights="a.npz")]
    assert names(alike, networks, ())[0] == (
        f"tiny-a (a, {networks[0].identity.weights_sha256[:8]}, float32)"
    )
    assert "expected the same number" in refusal(named, networks, networks, ("x",))
    assert "called 'x'" in refusal(named, networks, networks, ("x", "x"))
