"""`metrics.csv`: one row per logged generation."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qd_fool.errors import UserError
from qd_fool.files import replacing, writing
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
"""Columns of each run."""

SHARE, GAIN = "share_", "gain_"
"""Beginnings of the names of an emitter's two columns."""


def metric_rows(
    log: GenerationLog,
    *,
    count: int,
    evaluations: Sequence[int],
    emitters: Sequence[str],
    seconds: Sequence[float],
    every: int,
) -> list[dict[str, Any]]:
    """Return the rows of `metrics.csv` for a segment's first `count` generations.

    A run with feedback has two more columns per emitter: its share of the batch, and the confidence
    that its offspring added to the archive, summed over cells.

    Args:
      log: Log of a segment, on the host, arrays `(length, ...)`.
      count: Number of generations that ran.
      evaluations: `(count,)` evaluations up to the end of each generation.
      emitters: Names of the emitters.
      seconds: `(count,)` run time in seconds, without compilation.
      every: Divisor of the generations to log: each multiple of it has a row.
    """
    stats = log.statistics
    rows = []
    for i in range(count):
        generation = int(log.generation[i])
        if generation % every:
            continue
        values = (
            generation,
            evaluations[i],
            f"{seconds[i]:.3f}",
            *(f"{float(getattr(stats, name)[i]):.9g}" for name in METRICS[3:7]),
            int(stats.cells_over_99[i]),
            int(log.replacements[i]),
            int(stats.distinct[i]),
            int(stats.occupied[i]),
            int(log.refused[i]),
        )
        row = dict(zip(METRICS, values, strict=True))
        if log.emitters is not None:
            made, gain = log.emitters.made[i], log.emitters.gain[i]
            for k, name in enumerate(emitters):
                row[SHARE + name] = f"{float(made[k]) / max(1, int(made.sum())):.4g}"
                row[GAIN + name] = f"{float(gain[k]):.6g}"
        rows.append(row)
    return rows


def append_metrics(directory: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows to `metrics.csv`, with a header if the file is new.

    Raises:
      DiskError: The disk is full.
    """
    path = directory / "metrics.csv"
    new = not path.exists()
    with writing(path), path.open("a", newline="", encoding="utf-8") as file:
        for row in rows[:1] if new else []:
            csv.writer(file).writerow(row)
        csv.writer(file).writerows(row.values() for row in rows)


def _metrics_body(path: Path) -> tuple[list[str], list[list[str]]]:
    """Read the names and the rows of `metrics.csv`, without a last line cut by a crash.

    Raises:
      UserError: Any other line does not hold numbers.
    """
    if not path.exists():
        return list(METRICS), []
    # A crash may cut a line anywhere, even within a character. A line without an end is no row.
    text = path.read_bytes().decode("utf-8", "replace")
    names, *rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines())) or [list(METRICS)]
    for row in rows:
        if len(row) != len(names) or not all(map(is_number, row)):
            raise UserError(f"{path}: expected {len(names)} numbers per line, found {row}")
    return names, rows


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
    names, body = _metrics_body(directory / "metrics.csv")
    table = np.array(body, np.float64).reshape(len(body), len(names))
    return dict(zip(names, table.T, strict=True))


def evaluations_at(directory: Path, generation: int) -> int | None:
    """Return the evaluations up to the end of a generation; None if it has no row.

    Raises:
      UserError: The file is damaged.
    """
    columns = read_metrics(directory)
    rows = np.flatnonzero(columns["generation"] == generation)
    return int(columns["evaluations"][rows[-1]]) if len(rows) else None


def truncate_metrics(directory: Path, *, before: int) -> None:
    """Drop the rows of generation `before` and later, which a resumed run will write again."""
    path = directory / "metrics.csv"
    if not path.exists():
        return
    names, body = _metrics_body(path)
    keep = [row for row in body if int(row[0]) < before]
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([names, *keep])
