"""Values for the page's charts, from `metrics.csv` and the log of insertions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from qd_fool.runs.families import is_switch
from qd_fool.runs.metrics import GAIN, SHARE
from qd_fool.scoring.confidence import log_odds_of

__all__ = ["confidences_at"]

QUANTILES = (0.1, 0.25, 0.75, 0.9)

THRESHOLDS = (0.5, 0.9, 0.99, 0.9999)

POINTS, BINS = 200, 40
"""Points per line, about, and bins per histogram."""

SAME = 1e-4
"""Largest difference between the medians of the log and of the metrics, if the log is whole."""


def curves_of(
    metrics: Mapping[str, np.ndarray],
    events: Mapping[str, np.ndarray] | None,
    *,
    cells: Sequence[int],
) -> dict[str, Any]:
    """Return the values for the charts, ready for JSON.

    Args:
      metrics: Columns of `metrics.csv`.
      events: Columns of `lineage.npz`; None if there is none.
      cells: Class indices of the cells. An empty cell counts as confidence 0.

    Returns:
      A dictionary with these keys: `evaluations`, at which the lines have values; `lines`, values
      in log-odds (median, mean, min, max; and q10 to q90, if the log is whole); `over`, numbers of
      cells at or above each confidence; `cells`, their number; `bins`, edges in evaluations;
      `replacements`, per thousand evaluations in each bin; `switches`, the share of goal switches
      among the insertions of each bin that have a parent (None where there are none); `emitters`,
      for each emitter of a run with feedback its `share` of the offspring and its `gain` in
      confidence per thousand evaluations, in each bin.
    """
    count = len(metrics["generation"])
    if not count or not cells:
        return {"evaluations": []}

    # Lines from the metrics, which every run has.
    at = sample_points(metrics["evaluations"])
    evaluations = metrics["evaluations"][at]
    lines = {n: metrics[f"{n}_confidence"][at] for n in ("median", "mean", "min", "max")}
    over = {"0.99": metrics["cells_over_99"][at]}
    edges = np.linspace(0.0, float(metrics["evaluations"][-1]), BINS + 1)

    # Lines from the log, if the log is whole: more of them, and more exact.
    found: dict[str, Any] = {}
    if events is not None:
        held = confidences_at(events, metrics["generation"][at], cells=cells)
        if np.abs(np.median(held, axis=1) - lines["median"]).max() <= SAME:
            levels = np.quantile(held, QUANTILES, axis=1)
            lines |= {f"q{q * 100:.0f}": v for q, v in zip(QUANTILES, levels, strict=True)}
            # The log has double precision; metrics.csv has rounded to 1.
            lines |= {"median": np.median(held, axis=1), "min": held.min(axis=1)}
            lines |= {"max": held.max(axis=1), "mean": held.mean(axis=1)}
            over = {str(t): (held >= t).sum(axis=1) for t in THRESHOLDS}
        found["switches"] = _switches(events, metrics, edges)
    emitters = _emitters(metrics, edges)
    if len(emitters) > 1:
        found["emitters"] = emitters
    total = np.interp(edges, metrics["evaluations"], metrics["replacements"])
    return {
        "evaluations": [int(e) for e in evaluations],
        "lines": {name: _log_odds(values) for name, values in lines.items()},
        "over": {name: [int(v) for v in values] for name, values in over.items()},
        "cells": len(cells),
        "bins": [round(float(e), 1) for e in edges],
        "replacements": [round(float(v), 3) for v in np.diff(total) / np.diff(edges) * 1000],
        **found,
    }


def sample_points(evaluations: Float[np.ndarray, " n"]) -> Int[np.ndarray, " m"]:
    """Choose the rows to draw, ascending: evenly spaced, and more of them early in the run."""
    last = len(evaluations) - 1
    even = np.linspace(0, last, POINTS // 2)
    early = np.geomspace(1, last + 1, POINTS // 2) - 1
    return np.unique(np.round(np.concatenate([even, early])).astype(np.int64))


def confidences_at(
    events: Mapping[str, np.ndarray],
    generations: Float[np.ndarray, " m"],
    *,
    cells: Sequence[int],
) -> Float[np.ndarray, "m cells"]:
    """Return each cell's confidence at the end of given generations; 0 where it was empty.

    Args:
      events: Columns of `lineage.npz`.
      generations: Generations, ascending.
      cells: Class indices of the cells.
    """
    # Apply the insertions in order, and take a copy of all cells after each generation.
    order = np.argsort(events["generation"], kind="stable")
    classes, confidence = events["class_index"][order], events["confidence"][order]
    ends = np.searchsorted(events["generation"][order], generations, side="right")
    now = np.zeros(max([*cells, int(classes.max(initial=0))], default=0) + 1)
    rows, start = [], 0
    for end in ends:
        now[classes[start:end]] = confidence[start:end]  # the last insertion into a cell counts
        rows.append(now[list(cells)])
        start = end
    return np.array(rows).reshape(len(generations), len(cells))


def _log_odds(confidence: Float[np.ndarray, " m"]) -> list[float]:
    """Return rounded log-odds; a 1 stands for the largest confidence below 1 in float32."""
    p = np.clip(np.asarray(confidence, np.float64), 1e-6, 1.0)
    return [round(float(v), 4) for v in log_odds_of(np.where(p == 1.0, 1.0 - 2.0**-24, p))]


def _emitters(
    metrics: Mapping[str, np.ndarray], edges: np.ndarray
) -> dict[str, dict[str, list[float | None]]]:
    """Return each emitter's share and gain in each bin, from the rows of `metrics.csv`."""
    # With --log-every, a row stands for the generations that follow the row before.
    spent = np.diff(metrics["evaluations"], prepend=0)
    every = np.diff(metrics["generation"], prepend=-1)
    bins = np.clip(np.searchsorted(edges, metrics["evaluations"]) - 1, 0, BINS - 1)

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(bins, values, minlength=BINS)

    names = [name.removeprefix(SHARE) for name in metrics if name.startswith(SHARE)]
    total = summed(spent)

    def parts(values: np.ndarray, whole: np.ndarray) -> list[float | None]:
        return [round(a / b, 4) if b else None for a, b in zip(values, whole, strict=True)]

    found = {}
    for name in names:
        made = summed(metrics[SHARE + name] * spent)
        gain = summed(metrics[GAIN + name] * every)
        found[name] = {"share": parts(made, total), "gain": parts(1000 * gain, made)}
    return found


def _switches(
    events: Mapping[str, np.ndarray], metrics: Mapping[str, np.ndarray], edges: np.ndarray
) -> list[float | None]:
    """Return each bin's share of goal switches among insertions with a parent; None without any."""
    bred = events["parent_class"] >= 0
    when = np.interp(events["generation"], metrics["generation"], metrics["evaluations"])
    switched = is_switch(events["parent_class"], events["class_index"])
    of_all = np.histogram(when[bred], edges)[0]
    of_these = np.histogram(when[switched], edges)[0]
    return [round(int(a) / int(b), 4) if b else None for a, b in zip(of_these, of_all, strict=True)]
