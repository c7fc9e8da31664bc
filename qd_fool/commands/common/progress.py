"""Progress for people: a rich bar on a terminal, a line now and then in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from qd_fool.archive import Statistics

LOG_SECONDS = 10.0


class EvolveProgress:
    """Shows generations, evaluations/s, median confidence, cells >= 0.99 and the time left."""

    def __init__(self, console: Console, progress: Progress, *, total: int, done: int) -> None:
        self._console = console
        self._progress = progress
        self._task = progress.add_task("evolve", total=total, completed=done, info="")
        self._last_line = time.monotonic()

    def update(
        self, *, done: int, rate: float, statistics: Statistics, cells: int, last: bool
    ) -> None:
        """Show the state after `done` generations.

        Args:
          done: generations so far, generation 0 included.
          rate: evaluations a second.
          statistics: scalars on the host.
          cells: in the archive.
          last: whether this is the last update.
        """
        info = (
            f"{rate:,.0f} evaluations/s  "
            f"median {float(statistics.median_confidence):.6f}  "
            f">=0.99: {int(statistics.cells_over_99)}/{cells}"
        )
        self._progress.update(self._task, completed=done, info=info)
        quiet = time.monotonic() - self._last_line < LOG_SECONDS
        if not self._console.is_terminal and (last or not quiet):
            self._last_line = time.monotonic()
            self._console.print(f"generation {done - 1}  {info}", highlight=False)


@contextmanager
def evolve_progress(console: Console, *, total: int, done: int) -> Iterator[EvolveProgress]:
    """A bar for as long as the block runs."""
    columns = (
        TextColumn("generation"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[info]}"),
        TextColumn("ETA"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield EvolveProgress(console, progress, total=total, done=done)
