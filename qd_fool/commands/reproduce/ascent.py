"""Rows of the summary on gradient ascents, from `ascent.csv`."""

import functools

import numpy as np

from qd_fool.commands.reproduce.steps import Step, rows_of
from qd_fool.commands.reproduce.summary import Row
from qd_fool.judge.statistics import median_interval


def ascent_rows(step: Step, *, experiment: str, targets: str) -> list[Row]:
    """Rows on the number of targets that reached 99.99%, and on the median steps.

    Args:
      step: Command of an ascent.
      experiment: Name of the experiment.
      targets: Words for the rows of `ascent.csv`, for people.
    """
    table = rows_of(step.result / "ascent.csv")
    best = np.asarray([float(row["best_confidence"]) for row in table])
    first = [int(row["first_9999"]) for row in table if row["first_9999"]]
    row = functools.partial(Row, experiment=experiment, step=step)
    sure = str(int((best >= 0.9999).sum()))
    figure = f"{targets} at >= 99.99%, out of {len(table)}"
    rows = [row(figure=figure, value=sure, paper="ascent")]
    if first:
        middle, low, high = median_interval(first)
        figure, interval = "steps to 99.99%, median", f"{low:g} to {high:g}"
        rows.append(row(figure=figure, value=f"{middle:g}", interval=interval))
    return rows
