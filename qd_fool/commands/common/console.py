"""The console that commands print to: plain text, one line per sentence."""

import contextlib
import io
import sys
from typing import IO, Any

from rich.console import Console

from qd_fool.commands.common.plain_text import plain_text


class Forgiving(io.TextIOBase):
    """A stream of messages whose loss does not end a command: a closed terminal, a full log.

    Characters that the stream's encoding lacks are written as escapes.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write text, if the stream still takes any."""
        with contextlib.suppress(OSError, ValueError):  # ValueError: the stream is closed
            known = text.encode(self.encoding, "backslashreplace").decode(self.encoding)
            self._stream.write(known)
        return len(text)

    def flush(self) -> None:
        """Flush the stream, if it still takes any text."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return bool(getattr(self._stream, "isatty", bool)())

    def fileno(self) -> int:
        """The stream's number, from which a terminal's width is found."""
        return self._stream.fileno()

    @property
    def encoding(self) -> Any:  # type: ignore[override]
        """The stream's encoding."""
        return getattr(self._stream, "encoding", None) or "utf-8"


class PlainConsole(Console):
    """A console for text with names from files, whose reader may leave at any time."""

    def print(self, *objects: Any, **options: Any) -> None:
        """Print objects; control characters in texts become escapes.

        Args:
          *objects: Texts, or what Rich can print.
          **options: Options of Rich.
        """
        plain = (plain_text(each) if isinstance(each, str) else each for each in objects)
        super().print(*plain, **options)

    def on_broken_pipe(self) -> None:
        """Pass the error on.

        Raises:
          BrokenPipeError: Always; it is being handled.
        """
        raise  # Rich calls this while it handles the error


def make_console(*, stderr: bool = True, file: IO[str] | None = None) -> Console:
    """Make a console that prints text as it is: no markup, no highlights, no wrapped lines.

    `qd_fool.cli` makes the consoles of a command once and passes them on.

    Args:
      stderr: Whether to print to the standard error stream, and not to standard output. The loss
        of such messages ends nothing.
      file: Stream to print to instead of either.
    """
    if file is None and stderr and sys.stderr is not None:
        file = Forgiving(sys.stderr)  # type: ignore[assignment]
    return PlainConsole(
        stderr=stderr,
        file=file,
        highlight=False,
        markup=False,
        soft_wrap=True,
        force_jupyter=False,  # in a notebook, Rich would show what is meant for a file
    )


def escape_what_stdout_lacks() -> None:
    """Write characters that the encoding of standard output lacks as escapes, not as an error."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
