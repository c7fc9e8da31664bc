"""The table of an ascent, as in the original: steps to each threshold, and the last values."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Int
from rich.console import Console

from qd_fool.ascent.blocks import AscentResult
from qd_fool.commands.common.tables import text_table
from qd_fool.files import write_rows
from qd_fool.scoring.confidence import confidence_of, log_odds_of, percent

THRESHOLDS = (0.99, 0.999, 0.9999)


COLUMNS = (
    "class_index",
    "label",
    "start",
    "first_top",
    *(f"first_{str(t)[2:]}" for t in THRESHOLDS),
    "final_confidence",
    "best_confidence",
    "best_log_odds",
    "best_merit",
    "best_iteration",
    "norm",
    "distance",
)


ROWS_SHOWN = 20


def first_true(mask: Bool[np.ndarray, "iterations n"]) -> Int[np.ndarray, " n"]:
    """The first iteration at which each column is true; -1 if there is none."""
    return np.where(mask.any(axis=0), mask.argmax(axis=0), -1).astype(np.int32)


def table_rows(
    result: AscentResult,
    classes: Int[np.ndarray, " n"],
    starts: Int[np.ndarray, " n"],
    labels: Sequence[str],
) -> list[dict[str, Any]]:
    """One row per target, by `COLUMNS`; None for a threshold that was never passed.

    Args:
      result: Result of the targets.
      classes: Class of each target.
      starts: Number of each target among the starts of its class.
      labels: Labels of all classes.
    """
    passed = [first_true(result.log_odds >= log_odds_of(t)) for t in THRESHOLDS]
    firsts = np.stack([first_true(result.top), *passed], axis=1)
    final = confidence_of(result.log_odds[-1])
    best = confidence_of(result.best_log_odds)
    rows = []
    for i, k in enumerate(classes.tolist()):
        values = (
            k,
            labels[k],
            int(starts[i]),
            *(int(first) if first >= 0 else None for first in firsts[i]),
            float(final[i]),
            float(best[i]),
            float(result.best_log_odds[i]),
            float(result.merit[:, i].max()),
            int(result.best_iteration[i]),
            float(result.norm[i]),
            float(result.distance[i]),
        )
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def write_table(run_dir: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write `ascent.csv`; an empty cell means never."""
    write_rows(run_dir / "ascent.csv", COLUMNS, rows)


def summary(rows: Sequence[dict[str, Any]], *, most: int) -> list[str]:
    """One sentence per threshold: how many targets passed it, and the median steps.

    Args:
      rows: Rows from `table_rows`.
      most: Number of iterations of the ascent.
    """
    sentences = []
    for t in THRESHOLDS:
        column = f"first_{str(t)[2:]}"
        steps = [row[column] for row in rows if row[column] is not None]
        # The median over all targets. Those that never passed come last.
        every = sorted([*steps, *[most] * (len(rows) - len(steps))])
        median = np.median(every)
        steps_shown = f"{median:g}" if median < most else "never"
        sentences.append(f"{len(steps)} of {len(rows)} >= {t}; median steps {steps_shown}")
    best = np.median([row["best_confidence"] for row in rows])
    final = np.median([row["final_confidence"] for row in rows])
    sentences.append(f"median confidence {percent(best)} at its best, {percent(final)} at the end")
    return sentences


def print_table(console: Console, rows: Sequence[dict[str, Any]], *, most: int) -> None:
    """Print the first rows, and the summary of all rows."""
    several = any(row["start"] for row in rows)
    heads = ("class", "top", ".99", ".999", ".9999", "final", "best", "at", "norm", "moved")
    body = []
    for row in rows[:ROWS_SHOWN]:
        label = row["label"].split(",")[0][:14]
        start = f" #{row['start']}" if several else ""
        firsts = (row[name] for name in COLUMNS[3:7])
        cells = (
            f"{row['class_index']} {label}{start}",
            *("-" if first is None else str(first) for first in firsts),
            percent(row["final_confidence"]),
            percent(row["best_confidence"]),
            str(row["best_iteration"]),
            f"{row['norm']:.0f}",
            f"{row['distance']:.0f}",
        )
        body.append(cells)
    console.print(text_table(heads, body, no_wrap=True))
    if len(rows) > ROWS_SHOWN:
        console.print(f"and {len(rows) - ROWS_SHOWN} more in ascent.csv")
    for sentence in summary(rows, most=most):
        console.print(sentence)
