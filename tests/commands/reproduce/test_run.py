"""Reproductions: their commands can be run, what is done is not done again, figures are right."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from command import refused
from paths import ARCHIVES
from rich.console import Console

from qd_fool import cli
from qd_fool.commands.reproduce.ascent import ascent_rows
from qd_fool.commands.reproduce.config import ReproduceConfig
from qd_fool.commands.reproduce.imagenet import imagenet_steps
from qd_fool.commands.reproduce.mnist import evolution_rows, mnist_steps
from qd_fool.commands.reproduce.paper import MARKS, PAPER
from qd_fool.commands.reproduce.run import run_steps
from qd_fool.commands.reproduce.steps import Step
from qd_fool.commands.reproduce.summary import Row, write_summary
from qd_fool.commands.reproduce.transfer import transfer_rows
from qd_fool.errors import UserError

NETWORKS = ("squeezenet1.1=a.npz", "squeezenet1.1-caffe=b.npz", "efficientnet-lite0")


def test_each_command_is_one_that_the_parser_takes(tmp_path):
    steps = mnist_steps(ReproduceConfig("mnist", encoding="both", seeds=2), tmp_path / "m")
    more = ReproduceConfig("imagenet", networks=NETWORKS, photos="photos", seeds=2)
    steps += imagenet_steps(more, tmp_path / "i")
    for step in steps:
        cli.parse(step.words)
    assert len({step.command for step in steps}) == len(steps)
    assert len({step.result for step in steps}) == len(steps)


def test_the_joint_run_is_of_the_first_two_networks_with_their_weights(tmp_path):
    steps = imagenet_steps(ReproduceConfig("imagenet", networks=NETWORKS), tmp_path)
    joint = next(step for step in steps if step.name == "cppn-joint/seed0")
    config = cli.parse(joint.words)
    assert (config.model, config.also) == ("squeezenet1.1", ("squeezenet1.1-caffe",))
    assert (config.weights, config.also_weights) == (Path("a.npz"), (Path("b.npz"),))
    assert config.evaluations == 20_000  # each costs a forward pass of both


def test_what_is_done_is_not_done_again_and_a_failure_is_told(tmp_path):
    done = tmp_path / "done.txt"
    done.write_text("")
    console = Console(quiet=True)
    run_steps([Step("a", ("no-such-command",), done)], tmp_path, console=console)
    failing = Step("b", ("score", "nothing.png"), tmp_path / "b.json")
    with pytest.raises(UserError, match=r"a step failed \(exit code 2\): qd-fool score nothing"):
        run_steps([failing], tmp_path, console=console)
    assert list(json.loads((tmp_path / "seconds.json").read_text())) == [failing.command]


def test_a_run_is_done_when_it_says_so(tmp_path):
    step = Step("a", ("evolve",), tmp_path)
    assert not step.finished()
    for status, done in (("running", False), ("finished", True)):
        (tmp_path / "run.json").write_text(json.dumps({"status": status}))
        assert step.finished() == done
    (tmp_path / "run.json").write_text('{"status": "fin')
    assert not step.finished()


@pytest.mark.parametrize("encoding", ["direct", "cppn"])
def test_figures_of_an_evolution_are_those_of_its_files(encoding):
    run = ARCHIVES / f"mnist_{encoding}"
    rows = evolution_rows(f"{encoding}-paper", [Step(f"{encoding}-paper/seed0", ("evolve",), run)])
    with (run / "elites.csv").open(newline="") as file:
        confidence = [float(row["confidence"]) for row in csv.DictReader(file)]
    with (run / "metrics.csv").open(newline="") as file:
        reached = [int(r["evaluations"]) for r in csv.DictReader(file)
                   if float(r["median_confidence"]) >= 0.9999]  # fmt: skip
    output = {row.figure.split(" after")[0]: row.value for row in rows}
    result = output["median confidence"].rstrip("%")
    assert float(result) / 100 <= np.median(confidence) < float(result) / 100 + 1e-6
    assert output["median >= 99.99%"].split(" ")[0] == f"{min(reached):,}"


def test_ascents_are_counted_and_those_that_never_got_there_have_no_steps(tmp_path):
    lines = ["best_confidence,first_9999", "0.99999,4", "0.9999,8", "0.5,", "0.99995,6"]
    (tmp_path / "ascent.csv").write_text("\n".join(lines))
    step = Step("ascent", ("ascend",), tmp_path)
    sure, steps = ascent_rows(step, experiment="ascent", targets="digits")
    assert (sure.figure, sure.value) == ("digits at >= 99.99%, out of 4", "3")
    assert steps.value == "6"


def transfer(folder, networks, confidence, fooled):
    """A transfer's files with the given confidences `(images, networks)`."""
    folder.mkdir()
    pairs = [
        {"a": networks[0], "b": b, "at": {"0.99": {
            "images": len(confidence), "a": 0, "b": 0,
            "both": int(((confidence[:, 0] >= 0.99) & (confidence[:, j] >= 0.99)).sum()),
            "a_only": int(((confidence[:, 0] >= 0.99) & (confidence[:, j] < 0.99)).sum()),
            "b_only": 0}}}
        for j, b in enumerate(networks) if j
    ]  # fmt: skip
    source = {"name": "r", "networks": fooled, "seed": 0, "pairs": pairs}
    output = {"networks": [{"name": name} for name in networks], "sources": [source, source]}
    (folder / "transfer.json").write_text(json.dumps(output))
    lines = ["network,confidence"]
    lines += [f"{n},{c}" for row in confidence for n, c in zip(networks, row, strict=True)]
    (folder / "transfer.csv").write_text("\n".join(lines))
    return Step(folder.name, ("transfer",), folder / "transfer.json")


def test_counts_of_a_transfer_add_up_over_runs_and_held_out_networks_are_compared(tmp_path):
    alone = np.asarray([[1.0, 0.2, 0.1], [0.995, 0.99, 0.2], [0.5, 0.4, 0.3]])
    both = np.asarray([[1.0, 1.0, 0.9], [1.0, 1.0, 0.8]])
    rows = transfer_rows(
        transfer(tmp_path / "single", ["A", "B", "C"], alone, ["A"]),
        transfer(tmp_path / "joint", ["A", "B", "C"], both, ["A", "B"]),
        experiment="transfer",
    )
    assert [row.value.split(" at")[0] for row in rows[:2]] == [
        "2 both, 2 only A", "0 both, 4 only A",
    ]  # fmt: skip
    assert len(rows) == 3  # B is not held out
    assert "of C, held out" in rows[2].figure
    assert rows[2].value.startswith("20.0000%, 85.0000% in the median; 0.0%, 0.0% at >= 99%")
    assert "100%, p = 0.2" in rows[2].value


def test_the_summary_lays_figures_beside_the_papers_and_their_sources(tmp_path):
    steps = [Step("a", ("evolve", "--seed", "3"), tmp_path), Step("b", ("train",), tmp_path)]
    rows = [
        Row("evolution", "median", "99.9999%", steps[0], paper="mnist direct", seeds="0 to 4"),
        Row("evolution", "other|figure", "1", steps[1]),
    ]
    write_summary(tmp_path, rows, steps, title="MNIST", command="qd-fool reproduce mnist")
    with (tmp_path / "summary.csv").open(newline="") as file:
        first, second = csv.DictReader(file)
    assert first["paper"] == PAPER["mnist direct"].figure
    assert first["mark"] == "A"
    assert first["command"] == "qd-fool evolve --seed 3"
    assert (second["paper"], second["mark"]) == ("", "")
    page = (tmp_path / "summary.md").read_text()
    assert "| 0 to 4 | 99.99% by 200 generations | A | 1 |" in page
    assert "other\\|figure" in page
    assert "2. `qd-fool train` (0 s)" in page


def test_each_of_the_papers_figures_is_marked():
    assert {figure.mark for figure in PAPER.values()} <= set(MARKS)


def test_bad_input_is_refused(capsys, tmp_path):
    output = refused(capsys, "reproduce", "mnist", "--seeds", 0)
    assert output == "qd-fool: --seeds is 0: expected 1 or more"
    output = refused(capsys, "reproduce", "imagenet", "--networks", "lenet", "lenet-b")
    assert "--networks names 2: expected 3 or more" in output
    (tmp_path / "file").write_text("")
    output = refused(capsys, "reproduce", "mnist", "--out", tmp_path / "file")
    assert "cannot be made" in output
