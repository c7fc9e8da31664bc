"""Intervals (95%) of shares and means: over seeds if there are three or more, else over items."""

import dataclasses
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

from qd_fool.judge.statistics import LEVEL, RESAMPLES

__all__ = ["Value", "mean_value", "share_value"]

SEEDS = 3
"""Number of seeds from which on an interval is one over seeds."""


@dataclasses.dataclass(frozen=True)
class Value:
    """A number and its interval (95%).

    Attributes:
      value: The number.
      low: Lower bound of the interval.
      high: Upper bound of the interval.
    """

    value: float
    low: float
    high: float


def share_value(fooled: Bool[np.ndarray, "seeds items"]) -> Value:
    """Return the share of items for which something is true, and its interval.

    With fewer than three seeds it is Wilson's interval over items, which treats them as independent
    and seeds as no further information. With more it is Student's over the seeds' shares, unless
    all of these are equal.

    Args:
      fooled: Whether it is true, per seed and item.
    """
    shares = np.asarray(fooled, bool).mean(axis=1)
    share, items = float(shares.mean()), fooled.shape[1]
    if len(shares) >= SEEDS and np.ptp(shares) > 0:
        return _student(shares)
    low, high = _wilson(share, items if len(shares) < SEEDS else items * len(shares))
    return Value(share, low, high)


def mean_value(values: Float[np.ndarray, "seeds items"], *, seed: int = 0) -> Value:
    """Return the mean of values in [0, 1], and its interval: over seeds, else by bootstrap.

    Args:
      values: One number per seed and item.
      seed: Seed of the bootstrap, which draws items.
    """
    values = np.asarray(values, np.float64)
    means = values.mean(axis=1)
    if len(means) >= SEEDS and np.ptp(means) > 0:
        return _student(means)
    return bootstrap_value(values.mean(axis=0), np.mean, seed=seed)


def bootstrap_value(values: Any, statistic: Any, *, seed: int = 0) -> Value:
    """Return a statistic of `(n,)` values and its bootstrap interval (percentiles)."""
    values = np.asarray(values, np.float64)
    value = float(statistic(values))
    if len(values) < 2 or np.ptp(values) == 0:
        return Value(value, value, value)
    interval = scipy.stats.bootstrap(
        (values,),
        statistic,
        n_resamples=RESAMPLES,
        batch=max(1, 10_000_000 // len(values)),
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return Value(value, float(interval.low), float(interval.high))


def _student(means: Float[np.ndarray, " seeds"]) -> Value:
    half = scipy.stats.sem(means) * scipy.stats.t.ppf((1 + LEVEL) / 2, len(means) - 1)
    middle = float(means.mean())
    return Value(middle, max(0.0, middle - float(half)), min(1.0, middle + float(half)))


def _wilson(share: float, n: int) -> tuple[float, float]:
    z2 = float(scipy.stats.norm.ppf((1 + LEVEL) / 2)) ** 2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = (z2 * (share * (1 - share) / n + z2 / (4 * n * n))) ** 0.5 / (1 + z2 / n)
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))
