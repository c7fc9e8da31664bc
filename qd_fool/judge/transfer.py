"""Do pictures that fool one network fool another? The counts of the paper's section on transfer.

Pure NumPy, from arrays of confidences: a row a picture, a column a network, each the confidence of
that network in the class that the picture is after. NaN: the network was not asked.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["SURE", "THRESHOLDS", "PairCounts", "fools_all", "fools_both", "pair_counts"]

THRESHOLDS = (0.99, 0.9999)
"""From which confidence on a picture counts as fooling; the paper speaks of both."""


SURE = THRESHOLDS[0]


@dataclasses.dataclass(frozen=True)
class PairCounts:
    """How many pictures fool the network A that they are from, and another, B.

    Attributes:
      images: how many there are.
      a: fool A, whatever B says.
      b: fool B, whatever A says.
      both: fool both.
      a_only: fool A and not B.
      b_only: fool B and not A.
    """

    images: int
    a: int
    b: int
    both: int
    a_only: int
    b_only: int


def pair_counts(
    a: Float[np.ndarray, " images"], b: Float[np.ndarray, " images"], *, threshold: float
) -> PairCounts:
    """Count the pictures that fool A, B and both.

    Args:
      a: confidence of A in each picture's target.
      b: that of B.
      threshold: the confidence from which on, itself included, a network is fooled.

    Raises:
      ValueError: a confidence is NaN: what was not measured can't be counted.
    """
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("confidences are NaN: expected those of networks that were asked")
    fools_a, fools_b = a >= threshold, b >= threshold
    both = int((fools_a & fools_b).sum())
    n_a, n_b = int(fools_a.sum()), int(fools_b.sum())
    return PairCounts(len(a), n_a, n_b, both, n_a - both, n_b - both)


def asked(confidence: Float[np.ndarray, "images networks"]) -> Bool[np.ndarray, " networks"]:
    """Which networks were shown all the pictures."""
    return ~np.isnan(confidence).any(axis=0)


def fools_both(
    confidence: Float[np.ndarray, "images networks"], *, threshold: float = SURE
) -> Int[np.ndarray, "networks networks"]:
    """How many pictures fool both of two networks; on the diagonal, how many fool the one.

    Args:
      confidence: in each picture's target.
      threshold: as in `pair_counts`.

    Returns:
      Counts, symmetric; -1 with a network that was not asked.
    """
    fools = (confidence >= threshold).astype(np.int64)
    counts = fools.T @ fools
    missing = ~asked(confidence)
    counts[missing] = -1
    counts[:, missing] = -1
    return counts


def fools_all(
    confidence: Float[np.ndarray, "images networks"], *, threshold: float = SURE
) -> tuple[Int[np.ndarray, " images"], Float[np.ndarray, " images"], int]:
    """Pictures by how well they fool every network that was asked.

    Args:
      confidence: in each picture's target; NaN where the network was not shown this picture.
      threshold: as in `pair_counts`.

    Returns:
      The pictures, those with the highest least confidence first; that least confidence of each;
      and how many, from the first on, reach the threshold with all networks.
    """
    least = np.nanmin(confidence, axis=1)
    order = np.argsort(-least, kind="stable")
    return order, least[order], int((least >= threshold).sum())
