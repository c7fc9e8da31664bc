"""Do pictures that fool one network fool another? The counts of the paper's section on transfer.

The functions are pure NumPy, on arrays of confidences: one row per picture, one column per network.
Each value is a network's confidence in the picture's target class; NaN where the network did not
see the picture.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Int

__all__ = ["SURE", "THRESHOLDS", "PairCounts", "fools_all", "fools_both", "pair_counts"]

THRESHOLDS = (0.99, 0.9999)
"""Least confidences at which a picture counts as fooling; the paper uses both."""

SURE = THRESHOLDS[0]
"""Threshold for counts at one threshold only."""


@dataclasses.dataclass(frozen=True)
class PairCounts:
    """Numbers of pictures that fool the network A they were made against, and another network B.

    Attributes:
      images: All pictures.
      a: Pictures that fool A, and perhaps B.
      b: Pictures that fool B, and perhaps A.
      both: Pictures that fool both.
      a_only: Pictures that fool A and not B.
      b_only: Pictures that fool B and not A.
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
      a: Confidence of A in each picture's target.
      b: Confidence of B in each picture's target.
      threshold: Least confidence at which a network counts as fooled.

    Raises:
      ValueError: A confidence is NaN.
    """
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("confidences are NaN: expected only networks that saw every picture")
    fools_a, fools_b = a >= threshold, b >= threshold
    both = int((fools_a & fools_b).sum())
    n_a, n_b = int(fools_a.sum()), int(fools_b.sum())
    return PairCounts(images=len(a), a=n_a, b=n_b, both=both, a_only=n_a - both, b_only=n_b - both)


def asked(confidence: Float[np.ndarray, "images networks"]) -> Bool[np.ndarray, " networks"]:
    """Return whether each network saw all the pictures."""
    return ~np.isnan(confidence).any(axis=0)


def fools_both(
    confidence: Float[np.ndarray, "images networks"], *, threshold: float = SURE
) -> Int[np.ndarray, "networks networks"]:
    """Count the pictures that fool both of two networks; on the diagonal, those that fool one.

    Args:
      confidence: Confidence in each picture's target.
      threshold: Least confidence at which a network counts as fooled.

    Returns:
      Counts, symmetric; -1 where one of the two networks was not asked.
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
    """Sort pictures by how well they fool every network that saw them.

    Args:
      confidence: Confidence in each picture's target; NaN where the network did not see the
        picture.
      threshold: Least confidence at which a network counts as fooled.

    Returns:
      Indices of the pictures, sorted by their least confidence over networks, highest first; this
      least confidence; and the number of pictures, from the first on, that fool all networks.
    """
    least = np.nanmin(confidence, axis=1)
    order = np.argsort(-least, kind="stable")
    return order, least[order], int((least >= threshold).sum())
