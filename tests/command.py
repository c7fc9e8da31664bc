"""The command as tests call it, shared by those of its runs and those of its refusals."""

from qd_fool.cli import main

SMALL = ("--generations", "6", "--batch-size", "20", "--chunk", "10", "--devices", "2")
"""Flags of a small evolution."""


def evolve(run_dir, *flags) -> int:
    """`qd-fool evolve` into a directory: its exit code."""
    return main(["evolve", "--run-dir", str(run_dir), *map(str, flags)])


def ascend(run_dir, *flags) -> int:
    """`qd-fool ascend` into a directory: its exit code."""
    return main(["ascend", "--run-dir", str(run_dir), *map(str, flags)])


def refused(capsys, *argv) -> str:
    """The one sentence with which a command is refused; exit code 2, no traceback, no output."""
    capsys.readouterr()
    assert main(list(map(str, argv))) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("qd-fool: ")]
    assert len(lines) == 1
    return lines[0]


DIGITS = (
    "--start", "uniform", "--starts", 2, "--iterations", 40, "--chunk", 5, "--block", 10,
)  # fmt: skip
"""Flags of an ascent to all digits, from noise, two starts each."""
