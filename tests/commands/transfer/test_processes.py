"""A transfer in several processes on loopback: the files of one."""

import numpy as np
import pytest
from command import refused
from processes import ends, finish, start_together, wait_for

from qd_fool.cli import main
from qd_fool.runs.pictures import write_image

PICTURES = 230
"""Pictures of these tests: more than one chunk of a LeNet, and no whole number of chunks."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder of digits' size; a third of the pictures name no class."""
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(PICTURES):
        name = f"{i % 10:04d}_{i}.png" if i % 3 else f"picture-{i}.png"
        write_image(folder / name, rng.integers(0, 256, (28, 28, 1), dtype=np.uint8))
    return folder


def words(pictures, out):
    return ["transfer", str(pictures), "--to", "lenet", "--to", "lenet-b", "--out", str(out)]


@pytest.fixture(scope="module")
def alone(tmp_path_factory, pictures):
    out = tmp_path_factory.mktemp("alone") / "out"
    assert main(words(pictures, out)) == 0
    return out


def assert_files_of_one_process(processes, pictures, alone, out):
    """Process 0 writes the files of a transfer in one process, and the others nothing."""
    said = ends(start_together(*words(pictures, out), processes=processes))
    assert [code for _, code in said] == [0] * processes
    leader, *followers = (text for text, _ in said)
    assert f"look at {out / 'transfer.md'}" in leader
    for follower in followers:
        assert f"of {processes} follows process 0" in follower
        assert "median confidence" not in follower
    assert_same_files(alone, out)


def assert_same_files(alone, out):
    assert {path.name for path in alone.iterdir()} == {path.name for path in out.iterdir()}
    for path in alone.iterdir():
        here, there = (folder.joinpath(path.name).read_bytes() for folder in (alone, out))
        assert here.replace(str(alone).encode(), str(out).encode()) == there, path.name


def test_two_processes(tmp_path, pictures, alone):
    assert_files_of_one_process(2, pictures, alone, tmp_path / "out")


@pytest.mark.long
def test_four_processes(tmp_path, pictures, alone):
    assert_files_of_one_process(4, pictures, alone, tmp_path / "out")


@pytest.mark.long
@pytest.mark.parametrize("devices", [1, 2, 8])
def test_devices_change_no_bit(tmp_path, pictures, alone, devices):
    """The transfer in one process has four devices."""
    finish(*words(pictures, tmp_path / "out"), devices=devices)
    assert_same_files(alone, tmp_path / "out")


@pytest.mark.long
def test_pictures_that_differ(tmp_path, pictures):
    """Each process says so, and nothing is written."""
    others = tmp_path / "others"
    others.mkdir()
    write_image(others / "0001_x.png", np.zeros((28, 28, 1), np.uint8))
    out = tmp_path / "out"
    command = ["transfer", "--to", "lenet", "--out", out]
    for said, code in ends(start_together(*command, each=[(str(pictures),), (str(others),)])):
        assert code == 2
        assert "processes of the run differ: the SHA-256 of the pictures is" in said
    assert not out.exists()


@pytest.mark.long
def test_a_dead_process_ends_the_other_with_a_sentence(tmp_path, pictures):
    """A process of a transfer says nothing before it dies: it is killed before it begins."""
    code = (
        "import os, qd_fool.commands.transfer.run as run\n"
        "if sys.argv[-1] == '1': run._ask_all = lambda *_, **__: os._exit(9)"
    )
    (said, leader), (_, dead) = ends(start_together(*words(pictures, tmp_path / "out"), code=code))
    assert (leader, dead) == (2, 9)
    assert "qd-fool: another process of the run has ended" in said
    assert "Traceback" not in said


@pytest.mark.long
@pytest.mark.parametrize("number", [0, 1])
def test_a_signal_to_one_process_ends_both(tmp_path, pictures, number):
    """It comes while the other process waits for its scores."""
    code = (
        "import time, qd_fool.commands.transfer.run as run\n"
        "from pathlib import Path\n"
        f"mark, ask = Path({str(tmp_path / 'asked')!r}), run.ask\n"
        "def slow(*words, **more):\n"
        f"    if sys.argv[-1] == '{number}':\n"
        "        mark.touch()\n"
        "        time.sleep(3)\n"
        "    return ask(*words, **more)\n"
        "run.ask = slow"
    )
    out = tmp_path / "out"
    processes = start_together(*words(pictures, out), code=code)
    wait_for(tmp_path / "asked")
    processes[number].terminate()
    for said, code in ends(processes):
        assert code == 130, said
        assert said.endswith("qd-fool: interrupted")
        assert "Traceback" not in said
    assert not out.exists()


def test_flags_that_do_not_fit(capsys, pictures):
    said = refused(capsys, *words(pictures, "out"), "--processes", 2)
    assert "--processes needs --coordinator and --process-id" in said
