"""Confidences: from log-odds, back to log-odds, and as text."""

import math
from typing import Any

import numpy as np

__all__ = ["confidence_of", "log_odds_of", "percent"]


def confidence_of(fitness: Any) -> Any:  # an array of one value comes back as a number
    """Return the confidence in [0, 1] of log-odds, in float64, which resolves more below 1."""
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-np.asarray(fitness, np.float64)))


def log_odds_of(confidence: Any) -> Any:
    """Return the log-odds of a confidence in [0, 1], in float64; -inf for 0 and inf for 1."""
    p = np.asarray(confidence, np.float64)
    with np.errstate(divide="ignore"):
        return np.log(p) - np.log1p(-p)


def percent(confidence: float, *, digits: int = 4) -> str:
    """Return a confidence as text, such as `99.9987%`. Rounded down, so never up to 100.

    Args:
      confidence: Confidence in [0, 1]; NaN gives `-`.
      digits: Number of digits after the point.
    """
    if math.isnan(confidence):
        return "-"
    return f"{math.floor(confidence * 10 ** (digits + 2)) / 10**digits:.{digits}f}%"
