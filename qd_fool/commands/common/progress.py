"""Progress of a command: a bar on a terminal, a line every ten seconds in a log."""

import dataclasses
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qd_fool.commands.common.plain_text import plain_text

LOG_SECONDS = 10.0
"""Time between two lines in a log."""


Item = TypeVar("Item")


class Bar:
    """The progress of a command; made by `progress_bar`."""

    def __init__(self, console: Console, progress: Progress, *, noun: str, total: int, done: int):
        self._console = console
        self._progress = progress
        self._noun, self._total, self._done = noun, total, done
        self._task = progress.add_task(noun, total=total, completed=done, info="")
        self._last_line = time.monotonic()

    def update(self, done: int, info: str = "", *, last: bool = False) -> None:
        """Show how many pieces are done.

        Args:
          done: Number of pieces that are done, including those before this run.
          info: Figures to show beside the count.
          last: Whether this is the last update, which a log always shows.
        """
        self._done = done
        self._progress.update(self._task, completed=done, info=info)
        due = last or time.monotonic() - self._last_line >= LOG_SECONDS
        if due and not self._console.is_terminal:
            self._last_line = time.monotonic()
            self._console.print(f"{self._noun} {done} of {self._total}  {info}".rstrip())

    def advance(self, count: int = 1) -> None:
        """Show that `count` more pieces are done."""
        self.update(self._done + count)

    def track(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items. Each counts as done when the next one is requested."""
        for item in items:
            yield item
            self.advance()


@dataclasses.dataclass(frozen=True, eq=False)
class Stretch:
    """A stretch of a bar, which one part of a larger command fills.

    Attributes:
      bar: Bar of the larger command.
      start: Number of pieces before the stretch.
      size: Number of pieces of the stretch.
      words: Name of the part, to show beside the count.
    """

    bar: Bar
    start: int
    size: int
    words: str


class StretchBar(Bar):
    """The progress of a part, shown on a stretch of a larger command's bar."""

    def __init__(self, stretch: Stretch, *, total: int, done: int):
        self._stretch, self._total = stretch, total
        self.update(done)

    def update(self, done: int, info: str = "", *, last: bool = False) -> None:
        """Show how many pieces of the part are done.

        Args:
          done: Number of pieces that are done.
          info: Figures to show beside the count.
          last: Whether this is the last update of the part, which is not that of the whole.
        """
        self._done = done
        stretch, share = self._stretch, min(done / max(1, self._total), 1.0)
        words = f"{stretch.words}  {info}".rstrip()
        stretch.bar.update(stretch.start + int(share * stretch.size), words)


@contextmanager
def progress_bar(
    console: Console,
    noun: str,
    *,
    total: int,
    done: int = 0,
    transient: bool = False,
    stretch: Stretch | None = None,
) -> Iterator[Bar]:
    """Show a bar for as long as the block runs.

    Args:
      console: Console for the bar.
      noun: Name of the pieces that are counted, such as "generation".
      total: Number of pieces.
      done: Number of pieces that are done already.
      transient: Whether the bar disappears at the end.
      stretch: Stretch of another bar to fill, instead of a bar of this block alone.
    """
    if stretch is not None:
        yield StretchBar(stretch, total=total, done=done)
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[info]}", markup=False),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    noun, hidden = plain_text(noun, lines=False), not console.is_terminal
    with Progress(*columns, console=console, disable=hidden, transient=transient) as progress:
        yield Bar(console, progress, noun=noun, total=total, done=done)
