"""A retraining on MNIST in several processes on loopback: the bits of one, a stop, a death."""

import json
import signal

import pytest
from command import refused
from processes import ends, start_together, survivor, wait_for
from processes import finish as finish_alone

from qd_fool.files import read_npz

SMALL = """
import dataclasses, os
os.environ["XLA_FLAGS"] = "--xla_cpu_use_fusion_emitters=false"
import jax, numpy as np
jax.config.update("jax_disable_most_optimizations", True)
from qd_fool.commands.retrain.mnist import rounds, tools
from qd_fool.training import lenet
lenet.RECIPES["short"] = dataclasses.replace(lenet.RECIPES["short"], steps=12, batch_size=8)
def digits(split, data_dir=None):
    n = {"train": 40, "test": 20}[split]
    images = np.random.default_rng(n).integers(0, 200, (n, 28, 28, 1), dtype=np.uint8)
    return images, np.arange(n, dtype=np.int32) % 10
rounds.load_mnist = digits
rounds.write_pictures = lambda *_, **__: None
tools.GROUP = 2
"""
"""Few digits, few steps of training, few seeds per call; compiled with little effort, no plots."""

FLAGS = (
    "--encoding", "direct", "--seeds", 3, "--held-out-seeds", 0, "--evaluations", 60, "--rounds", 2,
)  # fmt: skip


def start(run_dir, *flags, code=SMALL, **more):
    """Processes that run one retraining together; process 0 comes first."""
    words = ("retrain", "--run-dir", run_dir, *flags)
    return start_together(*words, code=code, **more)


def finish(run_dir, *flags, code=SMALL, **more):
    """Run a retraining in one process, to its end."""
    finish_alone("retrain", "--run-dir", run_dir, *flags, code=code, **more)


def content(run_dir):
    """All that does not tell the time."""
    rows = json.loads((run_dir / "table.json").read_text())["rows"]
    for row in rows:
        del row["training_seconds"], row["evolution_seconds"]
    folders = sorted(run_dir.glob("round_*"))
    arrays = [{k: v.tolist() for k, v in read_npz(r / "images.npz").items()} for r in folders]
    return rows, arrays, [(r / "network.safetensors").read_bytes() for r in folders]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("alone") / "run"
    finish(run_dir, *FLAGS)
    return run_dir


def test_two_processes(tmp_path):
    """The first round has the bits of one process."""
    one, two = tmp_path / "one", tmp_path / "two"
    flags = ("--encoding", "direct", "--seeds", 2, "--held-out-seeds", 0, "--rounds", 1)
    # Without gradients, which take as long to compile again.
    flags = (*flags, "--preset", "paper", "--evaluations", 400)
    finish(one, *flags)
    (_, code), (follower, other) = ends(start(two, *flags))
    assert (code, other) == (0, 0)
    assert "process 1 of 2 follows process 0" in follower
    assert "DNN_" not in follower
    assert content(two) == content(one)


@pytest.mark.long
def test_a_signal_to_one_process_saves_the_rounds_and_two_processes_end_it(tmp_path, alone):
    """And the tables are those of a retraining in one process."""
    run_dir = tmp_path / "run"
    processes = start(run_dir, *FLAGS)
    wait_for(run_dir / "round_01")
    processes[1].terminate()
    (leader, code), (follower, follower_code) = ends(processes)
    assert (code, follower_code) == (130, 130)
    assert "of 2 done; continue with: qd-fool retrain --resume" in leader
    assert "process 1 of 2 follows process 0" in follower
    assert "DNN_" not in follower
    said = ends(start(run_dir, "--resume"))
    assert [code for _, code in said] == [0, 0]
    assert content(run_dir) == content(alone)


@pytest.mark.long
def test_four_processes(tmp_path, alone):
    run_dir = tmp_path / "run"
    assert [code for _, code in ends(start(run_dir, *FLAGS, processes=4))] == [0] * 4
    assert content(run_dir) == content(alone)


@pytest.mark.long
@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_process_ends_the_others_with_a_sentence(tmp_path, alone, dead):
    run_dir = tmp_path / "run"
    processes = start(run_dir, *FLAGS)
    wait_for(run_dir / "round_01")
    processes[dead].kill()
    said, code = ends(processes)[1 - dead]
    assert code == 2
    assert "qd-fool: another process of the run has ended" in said
    assert "Traceback" not in said
    assert dead == 0 or "continue with: qd-fool retrain --resume" in said
    finish(run_dir, "--resume")
    assert content(run_dir) == content(alone)


@pytest.mark.long
@pytest.mark.parametrize("devices", [1, 4, 8])
def test_devices_change_no_bit(tmp_path, alone, devices):
    """With more devices than cores, XLA also computes with more threads."""
    finish(tmp_path / "run", *FLAGS, devices=devices)
    assert content(tmp_path / "run") == content(alone)


LONGER = SMALL.replace("steps=12", "steps=600")
LONGER_FLAGS = (*FLAGS, "--evaluations", 600)


def with_marks(folder):
    """Code of longer rounds that writes a file when a training or an evolution begins."""
    return (
        LONGER
        + f"""
from pathlib import Path
from qd_fool.commands.retrain.mnist import tools
make_tools = tools.make_tools
def with_marks(planned, **more):
    made = make_tools(planned, **more)
    def marking(name, function, begun=[]):
        def run(*words, **more):
            begun.append(name)
            Path({str(folder)!r}, f"{{name}}_{{len(begun)}}").touch()
            return function(*words, **more)
        return run
    train, evolve = marking("train", made.train, []), marking("evolve", made.evolve, [])
    return dataclasses.replace(made, train=train, evolve=evolve)
rounds.make_tools = with_marks
"""
    )


@pytest.fixture(scope="module")
def longer_alone(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("alone") / "run"
    finish(run_dir, *LONGER_FLAGS, code=LONGER)
    return run_dir


@pytest.mark.long
@pytest.mark.parametrize("dead", [0, 1])
@pytest.mark.parametrize("work", ["train", "evolve"])
def test_a_death_during_training_or_evolution(tmp_path, longer_alone, work, dead):
    """It comes in the second round."""
    run_dir = tmp_path / "run"
    processes = start(run_dir, *LONGER_FLAGS, code=with_marks(tmp_path))
    wait_for(tmp_path / f"{work}_2")
    said, code = survivor(processes, dead)
    assert (tmp_path / "evolve_2").exists() == (work == "evolve")
    assert len(list(run_dir.glob("round_*"))) == 1
    assert code == 2
    assert said.count("qd-fool: ") == 1
    assert "qd-fool: another process of the run has ended" in said
    assert "Traceback" not in said
    assert dead == 0 or "continue with: qd-fool retrain --resume" in said
    finish(run_dir, "--resume", code=LONGER)
    assert content(run_dir) == content(longer_alone)


@pytest.mark.long
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("work", ["train", "evolve"])
def test_a_signal_during_training_or_evolution(tmp_path, longer_alone, work, number):
    """The leader gets SIGINT and the follower SIGTERM; both end, and all rounds before are kept."""
    run_dir = tmp_path / "run"
    processes = start(run_dir, *LONGER_FLAGS, code=with_marks(tmp_path))
    wait_for(tmp_path / f"{work}_2")
    processes[number == signal.SIGTERM].send_signal(number)
    (leader, code), (follower, other) = ends(processes)
    assert (code, other) == (130, 130), leader + follower
    assert "interrupted, 1 of 2 done; continue with: qd-fool retrain --resume" in leader
    assert "Traceback" not in leader + follower
    finish(run_dir, "--resume", code=LONGER)
    assert content(run_dir) == content(longer_alone)


@pytest.mark.long
def test_processes_that_differ(tmp_path):
    """Each says what differs, and nothing is written."""
    run_dir = tmp_path / "run"
    for said, code in ends(start(run_dir, *FLAGS, each=[("--seed", "0"), ("--seed", "1")])):
        assert code == 2
        assert "processes of the run differ: seed is 0 in process 0 and 1 in process 1" in said
    assert not run_dir.exists()


def test_flags_that_do_not_fit(capsys, tmp_path):
    flags = ("--coordinator", "a:1", "--processes", 2, "--process-id", 2)
    said = refused(capsys, "retrain", "--run-dir", tmp_path / "run", *flags)
    assert "--process-id is 2: expected 0 to 1" in said
