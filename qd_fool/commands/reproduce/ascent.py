"""What is read from `ascent.csv` for a summary."""

from typing import Any

import numpy as np

from qd_fool.commands.reproduce.steps import Step, rows_of
from qd_fool.commands.reproduce.summary import Row
from qd_fool.judge.statistics import median_interval


def ascent_rows(step: Step, *, experiment: str, targets: str) -> list[Row]:
    """How many targets reached 99.99%, and after how many steps in the median.

    Args:
      step: an ascent.
      experiment: name of the rows.
      targets: what there is one of for each row of `ascent.csv`, for people.
    """
    table = rows_of(step.result / "ascent.csv")
    best = np.asarray([float(row["best_confidence"]) for row in table])
    first = [int(row["first_9999"]) for row in table if row["first_9999"]]
    told: dict[str, Any] = {"experiment": experiment, "step": step}
    sure = str(int((best >= 0.9999).sum()))
    figure = f"of {len(table)} {targets} at >= 99.99%"
    rows = [Row(figure=figure, ours=sure, paper="ascent", **told)]
    if first:
        middle, low, high = median_interval(first)
        spread = f"{low:g} to {high:g}"
        told |= {"ours": f"{middle:g}", "interval": spread}
        rows.append(Row(figure="steps to 99.99%, median", **told))
    return rows
