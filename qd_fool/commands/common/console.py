"""The console that commands print to: plain text, one line per sentence."""

from typing import IO

from rich.console import Console


def make_console(*, stderr: bool = True, file: IO[str] | None = None) -> Console:
    """Make a console that prints text as it is: no markup, no highlights, no wrapped lines.

    `qd_fool.cli` makes the consoles of a command once and passes them on.

    Args:
      stderr: Whether to print to the standard error stream, and not to standard output.
      file: Stream to print to instead of either.
    """
    return Console(stderr=stderr, file=file, highlight=False, markup=False, soft_wrap=True)
