"""The command as tests call it, shared by those of its runs and those of its refusals."""

from qd_fool.cli import main


def evolve(run_dir, *flags) -> int:
    """`qd-fool evolve` into a directory: its exit code."""
    return main(["evolve", "--run-dir", str(run_dir), *map(str, flags)])


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
