"""An ascent in several processes on loopback: the bits of one, a stop that reaches all, a death."""

import numpy as np
import pytest
from command import DIGITS, ascend, refused
from processes import ends, finish, start_together, wait_for

FLAGS = (
    "--start", "uniform", "--starts", 4, "--iterations", 200, "--chunk", 2, "--block", 4,
    "--devices", 1,
)  # fmt: skip
GRAPHS = (
    "--parametrization", "cppn", "--iterations", 5, "--chunk", 1, "--block", 4, "--devices", 1,
)  # fmt: skip


def start(run_dir, *flags, **more):
    """Processes that run one ascent together; process 0 comes first."""
    return start_together("ascend", "--run-dir", run_dir, *flags, **more)


def assert_same_ascent(a, b):
    for name in ("ascent.npz", "archive.npz", "lineage.npz"):
        with np.load(a / name) as one, np.load(b / name) as other:
            assert one.files == other.files
            for array in one.files:
                np.testing.assert_array_equal(one[array], other[array])
    assert (a / "ascent.csv").read_bytes() == (b / "ascent.csv").read_bytes()
    pictures = sorted((a / "elites").iterdir())
    assert pictures
    for picture in pictures:
        assert picture.read_bytes() == (b / "elites" / picture.name).read_bytes()


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    run_dir = tmp_path_factory.mktemp("alone") / "run"
    assert ascend(run_dir, *FLAGS) == 0
    return run_dir


def test_two_processes(tmp_path, digits):
    """They climb as one process with two devices does."""
    run_dir = tmp_path / "run"
    (leader, code), (follower, other) = ends(start(run_dir, *DIGITS, "--devices", 1))
    assert (code, other) == (0, 0), leader + follower
    assert "process 1 of 2 follows process 0" in follower
    assert "process 1 is done" in follower
    assert "climbing" in leader
    assert "climbing" not in follower
    assert_same_ascent(run_dir, digits)


@pytest.mark.long
def test_a_signal_to_one_process_saves_the_ascent_and_one_process_ends_it(tmp_path, alone):
    """And the pictures are those of an ascent in one process."""
    run_dir = tmp_path / "run"
    processes = start(run_dir, *FLAGS)
    wait_for(run_dir / "blocks" / "000000.npz")
    processes[1].terminate()
    (leader, code), (follower, follower_code) = ends(processes)
    assert (code, follower_code) == (130, 130)
    assert "of 40 done; continue with: qd-fool ascend --resume" in leader
    assert "process 1 of 2 follows process 0" in follower
    assert "process 1 is done" in follower
    assert "climbing" not in follower
    assert ascend(run_dir, "--resume") == 0
    assert_same_ascent(run_dir, alone)


@pytest.mark.long
def test_processes_that_differ(tmp_path):
    """Each says what differs, and nothing is written."""
    run_dir = tmp_path / "run"
    for said, code in ends(start(run_dir, *FLAGS, each=[("--seed", "0"), ("--seed", "1")])):
        assert code == 2
        assert "processes of the run differ: seed is 0 in process 0 and 1 in process 1" in said
    assert not run_dir.exists()


@pytest.mark.long
@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_process_ends_the_others_with_a_sentence(tmp_path, alone, dead):
    run_dir = tmp_path / "run"
    processes = start(run_dir, *FLAGS)
    wait_for(run_dir / "blocks" / "000000.npz")
    processes[dead].kill()
    said, code = ends(processes)[1 - dead]
    assert code == 2
    assert "qd-fool: another process of the run has ended" in said
    assert "Traceback" not in said
    assert dead == 0 or "continue with: qd-fool ascend --resume" in said
    assert ascend(run_dir, "--resume") == 0
    assert_same_ascent(run_dir, alone)


@pytest.mark.long
def test_four_processes_climb_with_graphs(tmp_path):
    run_dir, alone = tmp_path / "run", tmp_path / "alone"
    said = ends(start(run_dir, *GRAPHS, processes=4))
    assert [code for _, code in said] == [0] * 4
    assert ascend(alone, *GRAPHS) == 0
    assert_same_ascent(run_dir, alone)


@pytest.mark.long
@pytest.mark.parametrize("flags", [FLAGS, GRAPHS], ids=["pixels", "graphs"])
def test_devices_change_no_bit(tmp_path, flags):
    for devices in (1, 2, 4, 8):
        words = ("ascend", "--run-dir", tmp_path / str(devices), *flags, "--block", 20)
        finish(*words, "--devices", devices)
        assert_same_ascent(tmp_path / "1", tmp_path / str(devices))


def test_flags_that_do_not_fit(capsys, tmp_path):
    said = refused(capsys, "ascend", "--run-dir", tmp_path / "run", "--process-id", 1)
    assert "--process-id needs --coordinator and --processes" in said
