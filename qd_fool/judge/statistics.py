"""Statistics that experiments report with their figures; SciPy does the arithmetic."""

from typing import Any

import numpy as np
import scipy.stats

__all__ = ["mann_whitney", "median_interval"]

LEVEL = 0.95
"""Confidence level of intervals."""

RESAMPLES = 2000
"""Number of bootstrap samples."""


def median_interval(values: Any, *, seed: int = 0) -> tuple[float, float, float]:
    """Return the median, and the bounds of its bootstrap interval (percentiles, 95%).

    Args:
      values: `(n,)` numbers. NaN marks a value that was not measured, and is left out.
      seed: Seed of the resampling.

    Returns:
      Median, lower and upper bound. All are NaN if there is no value, and equal if there is one.
    """
    values = np.asarray(values, np.float64).ravel()
    values = values[~np.isnan(values)]
    if len(values) < 2 or np.all(values == values[0]):
        middle = float(np.median(values)) if len(values) else float("nan")
        return middle, middle, middle
    interval = scipy.stats.bootstrap(
        (values,),
        np.median,
        n_resamples=RESAMPLES,
        # As many samples at once as fit into about 100 MB.
        batch=max(1, 10_000_000 // len(values)),
        confidence_level=LEVEL,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(np.median(values)), float(interval.low), float(interval.high)


def mann_whitney(first: Any, second: Any) -> dict[str, float]:
    """Test whether values of one group tend to be larger than those of another (two-sided).

    Args:
      first: `(n,)` numbers.
      second: `(m,)` numbers.

    Returns:
      `u`, `p`, and `effect`: the probability that a value of the first group is larger than one of
      the second, where a tie counts half. It is 0.5 where there is no difference.

    Raises:
      ValueError: A group has no values.
    """
    first, second = (np.asarray(x, np.float64).ravel() for x in (first, second))
    if not len(first) or not len(second):
        raise ValueError(f"groups have {len(first)} and {len(second)} values: expected one or more")
    test = scipy.stats.mannwhitneyu(first, second, alternative="two-sided")
    u = float(test.statistic)
    return {"u": u, "p": float(test.pvalue), "effect": u / (len(first) * len(second))}
