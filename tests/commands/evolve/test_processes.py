"""Several processes on loopback: the bits of one, a stop that reaches all, and a death."""

import time

import numpy as np
import pytest
from command import evolve, refused
from processes import ends, finish, start_together, wait_for

FLAGS = ("--batch-size", "20", "--chunk", "10", "--devices", "1")


def start(run_dir, *flags, **more):
    """Processes that run one evolution together; process 0 comes first."""
    return start_together("evolve", "--run-dir", run_dir, *FLAGS, *flags, **more)


def assert_same_archive(a, b):
    with np.load(a / "archive.npz") as one, np.load(b / "archive.npz") as other:
        assert one.files == other.files
        for name in one.files:
            np.testing.assert_array_equal(one[name], other[name])


def test_a_signal_to_one_process_saves_the_run_and_one_process_ends_it(tmp_path):
    """And the archive is that of a run in one process, whole, which has the program of
    `command.SMALL`."""
    run_dir, straight = tmp_path / "run", tmp_path / "straight"
    processes = start(run_dir, "--generations", "100000", "--checkpoint-every", "5")
    wait_for(run_dir / "metrics.csv")
    processes[1].terminate()
    (leader, code), (follower, follower_code) = ends(processes)
    assert (code, follower_code) == (130, 130)
    assert "interrupted, and saved; continue with" in leader
    assert "process 1 of 2 follows process 0" in follower
    assert "fooling" in leader
    assert "fooling" not in follower
    done = int(follower.split("is done after ")[1].split()[0].replace(",", "")) - 1
    both = ("--devices", 2, "--generations", done + 5)
    assert evolve(run_dir, "--resume", *both) == 0
    assert evolve(straight, *FLAGS, *both) == 0
    assert_same_archive(run_dir, straight)


@pytest.mark.long
@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_process_ends_the_others_with_a_sentence(tmp_path, dead):
    run_dir = tmp_path / "run"
    processes = start(run_dir, "--generations", "100000", "--checkpoint-every", "5")
    wait_for(run_dir / "metrics.csv")
    processes[dead].kill()
    began = time.monotonic()
    said, code = ends(processes)[1 - dead]
    assert time.monotonic() - began < 60
    assert code == 2
    assert "qd-fool: another process of the run has ended" in said
    assert "Traceback" not in said
    assert dead == 0 or "continue from the newest checkpoint with: qd-fool evolve" in said
    rows = (run_dir / "metrics.csv").read_text().count("\n")
    assert evolve(run_dir, "--resume", "--generations", max(60, rows)) == 0
    straight = tmp_path / "straight"
    assert evolve(straight, *FLAGS, "--generations", max(60, rows)) == 0
    assert_same_archive(run_dir, straight)


@pytest.mark.long
def test_four_processes_evolve_graphs(tmp_path):
    run_dir, alone = tmp_path / "run", tmp_path / "alone"
    graphs = ("--encoding", "cppn", "--generations", "20", "--chunk", "5")
    said = ends(start(run_dir, *graphs, processes=4))
    assert [code for _, code in said] == [0] * 4
    assert evolve(alone, *FLAGS, *graphs) == 0
    assert_same_archive(run_dir, alone)


LATE = """
import time, jax
from qd_fool.commands.evolve import team
def late(function):
    def wait(*words, **more):
        time.sleep(40 * jax.process_index())
        return function(*words, **more)
    return wait
team.plan, team.compile_segment = late(team.plan), late(team.compile_segment)
"""


@pytest.mark.long
def test_a_process_that_is_late_is_waited_for(tmp_path):
    """One reads its network much longer than the other, and compiles much longer."""
    run_dir, alone = tmp_path / "run", tmp_path / "alone"
    flags = ("--generations", "20", "--batch-size", "40", "--devices", "2")
    said = ends(start(run_dir, *flags, code=LATE))
    assert [code for _, code in said] == [0] * 2
    assert evolve(alone, *FLAGS, *flags) == 0
    assert_same_archive(run_dir, alone)


@pytest.mark.long
@pytest.mark.parametrize("encoding", ["direct", "cppn"])
def test_devices_change_no_bit(tmp_path, encoding):
    """A batch has eight chunks."""
    flags = ("--encoding", encoding, "--generations", 20, "--batch-size", 40, "--chunk", 5)
    for devices in (1, 2, 4, 8):
        words = ("evolve", "--run-dir", tmp_path / str(devices), *flags, "--devices", devices)
        finish(*words)
        assert_same_archive(tmp_path / "1", tmp_path / str(devices))


THREADS = """
import atexit, os
atexit.register(lambda: print("threads:", os.environ["PJRT_NPROC"]))
"""


def test_processes_that_differ(tmp_path):
    """Each says what differs, and nothing is written. Each has as many threads as devices."""
    run_dir = tmp_path / "run"
    processes = start(run_dir, each=[("--seed", "0"), ("--seed", "1")], code=THREADS)
    for said, code in ends(processes):
        assert code == 2
        assert "threads: 1" in said
        assert "processes of the run differ: seed is 0 in process 0 and 1 in process 1" in said
    assert not run_dir.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--process-id", 1), "--process-id needs --coordinator and --processes"),
        (("--coordinator", "a:1", "--processes", 2), "--coordinator needs --process-id"),
        (
            ("--coordinator", "a:1", "--processes", 2, "--process-id", 2),
            "--process-id is 2: expected 0 to 1",
        ),
        (
            ("--coordinator", "somewhere", "--processes", 2, "--process-id", 1),
            "--coordinator is somewhere: expected HOST:PORT",
        ),
        (
            ("--coordinator", "a:1", "--processes", 2, "--process-id", 1, "--distributed"),
            "--distributed finds the processes itself",
        ),
    ],
)
def test_flags_that_do_not_fit(capsys, tmp_path, flags, message):
    assert message in refused(capsys, "evolve", "--run-dir", tmp_path / "run", *flags)
