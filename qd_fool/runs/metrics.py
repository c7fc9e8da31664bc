"""`metrics.csv`: one row per logged generation."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qd_fool.errors import UserError
from qd_fool.files import replacing
from qd_fool.map_elites.state import GenerationLog

METRICS = (
    "generation",
    "evaluations",
    "seconds",
    "median_confidence",
    "mean_confidence",
    "min_confidence",
    "max_confidence",
    "cells_over_99",
    "replacements",
    "distinct",
    "occupied",
    "refused_mutations",
)


def metric_rows(
    log: GenerationLog,
    *,
    count: int,
    evaluations: Callable[[int], int],
    seconds: Sequence[float],
    every: int,
) -> list[tuple[Any, ...]]:
    """Return the rows of `metrics.csv` for a segment's first `count` generations.

    Args:
      log: Log of a segment, on the host, arrays `(length, ...)`.
      count: Number of generations that ran.
      evaluations: Function from a generation to the number of evaluations up to its end.
      seconds: `(count,)` run time in seconds, without compilation.
      every: Divisor of the generations to log: each multiple of it has a row.
    """
    stats = log.statistics
    rows = []
    for i in range(count):
        generation = int(log.generation[i])
        if generation % every:
            continue
        rows.append(
            (
                generation,
                evaluations(generation),
                f"{seconds[i]:.3f}",
                *(f"{float(getattr(stats, name)[i]):.9g}" for name in METRICS[3:7]),
                int(stats.cells_over_99[i]),
                int(log.replacements[i]),
                int(stats.distinct[i]),
                int(stats.occupied[i]),
                int(log.refused[i]),
            )
        )
    return rows


def append_metrics(directory: Path, rows: Sequence[Sequence[Any]]) -> None:
    """Append rows to `metrics.csv`, with a header if the file is new."""
    path = directory / "metrics.csv"
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(METRICS)
        writer.writerows(rows)


def _metrics_body(path: Path) -> list[list[str]]:
    """Read the rows of `metrics.csv`, without the header, and without a last line cut by a crash.

    Raises:
      UserError: Any other line does not hold numbers.
    """
    if not path.exists():
        return []
    # A crash may cut a line anywhere, even within a character. A line without an end is no row.
    text = path.read_bytes().decode("utf-8", "replace")
    rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))[1:]
    for row in rows:
        if len(row) != len(METRICS) or not all(map(is_number, row)):
            raise UserError(f"{path}: expected {len(METRICS)} numbers per line, found {row}")
    return rows


def is_number(text: str) -> bool:
    """Return whether a text reads as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_metrics(directory: Path) -> dict[str, np.ndarray]:
    """Read `metrics.csv` as columns of float64, without a last line cut by a crash.

    Raises:
      UserError: The file is damaged.
    """
    body = _metrics_body(directory / "metrics.csv")
    table = np.array(body, np.float64).reshape(len(body), len(METRICS))
    return dict(zip(METRICS, table.T, strict=True))


def truncate_metrics(directory: Path, *, before: int) -> None:
    """Drop the rows of generation `before` and later, which a resumed run will write again."""
    path = directory / "metrics.csv"
    if not path.exists():
        return
    keep = [row for row in _metrics_body(path) if int(row[0]) < before]
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([METRICS, *keep])
