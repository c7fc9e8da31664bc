"""Counts of fooled classes, evaluations until they are fooled, and the weakest classes."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from qd_fool.judge.audit.report import THRESHOLDS, Fooled, Search
from qd_fool.judge.intervals import mean_value, share_value

LISTED = 5
"""Number of weakest and strongest classes to name."""


def first_evaluations(searches: Sequence[Search], threshold: float) -> Float[np.ndarray, "s c"]:
    """Return the evaluations until each class is fooled; infinity for never.

    Args:
      searches: Searches, one per seed, over the same classes.
      threshold: One of `THRESHOLDS`.
    """
    place = THRESHOLDS.index(threshold)
    rows = [[np.inf if n is None else n for n in search.first[place]] for search in searches]
    return np.asarray(rows, np.float64)


def fooled_by_search(searches: Sequence[Search], *, budget: int) -> tuple[Fooled, ...]:
    """Count the classes that searches fool, per threshold.

    Args:
      searches: Searches, one per seed, over the same classes.
      budget: Counted evaluations that each search may spend.
    """
    counts = []
    for threshold in THRESHOLDS:
        first = first_evaluations(searches, threshold)
        share = share_value(np.isfinite(first))
        # The time at which half are fooled, as with Kaplan and Meier: no mean with a class that
        # is never fooled.
        median = float(np.quantile(first, 0.5, method="inverted_cdf"))
        counts.append(
            Fooled(
                threshold,
                count=share.value * first.shape[1],
                tried=first.shape[1],
                share=share,
                median_evaluations=median if np.isfinite(median) else None,
                robustness=mean_value(parts_of_budget(first, budget)),
            )
        )
    return tuple(counts)


def parts_of_budget(first: Float[np.ndarray, "s c"], budget: int) -> Float[np.ndarray, "s c"]:
    """Return the part of the budget until each class is fooled, at most 1.

    Its mean is the restricted mean survival time, in units of the budget.

    Args:
      first: Evaluations until each class is fooled; infinity for never.
      budget: Counted evaluations that each search may spend.
    """
    return np.minimum(first / budget, 1.0)


def fooled_by_showing(confidence: Float[np.ndarray, " pictures"]) -> tuple[Fooled, ...]:
    """Count the pictures of other searches that fool the classifier, per threshold.

    Args:
      confidence: Confidence in the class that each picture was made for or, if the classifier has
        other classes, in its top class.
    """
    counts = []
    for threshold in THRESHOLDS:
        fools = np.asarray(confidence) >= threshold
        share = share_value(fools[None])
        counts.append(Fooled(threshold, float(fools.sum()), len(fools), share, None, None))
    return tuple(counts)


def weakest_and_strongest(
    searches: Sequence[Search], classes: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the classes that are fooled most and least easily.

    The order is that of the mean part of the way: evaluations to .99, then to .9, then to .5, then
    the log-odds of the best picture.

    Args:
      searches: Searches, one per seed, over the same classes.
      classes: Index of each class.
    """
    keys = [-np.mean([search.log_odds for search in searches], axis=0)]
    for threshold in THRESHOLDS:
        first = first_evaluations(searches, threshold)
        most = max((search.evaluations for search in searches), default=1)
        keys.append(np.minimum(first, 2 * most).mean(axis=0))
    order = np.lexsort(keys)
    listed = min(LISTED, len(order) // 2) or len(order)
    weakest = tuple(int(classes[i]) for i in order[:listed])
    return weakest, tuple(int(classes[i]) for i in order[::-1][:listed])
