"""Calibration: does the confidence say how often the classifier is right?"""

import dataclasses

import numpy as np
import scipy.optimize
import scipy.special
from jaxtyping import Bool, Float, Int

__all__ = ["BINS", "Bin", "expected_calibration_error", "fit_temperature", "reliability"]

BINS = 15
"""Number of bins of equal width between confidences 0 and 1."""


@dataclasses.dataclass(frozen=True)
class Bin:
    """The photographs whose confidence lies in a bin.

    Attributes:
      low: Lowest confidence, which belongs to the bin below.
      high: Highest confidence.
      count: Number of photographs.
      confidence: Mean confidence; None if there is no photograph.
      accuracy: Share that is classified correctly; None if there is no photograph.
    """

    low: float
    high: float
    count: int
    confidence: float | None
    accuracy: float | None


def reliability(
    confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], *, bins: int = BINS
) -> tuple[Bin, ...]:
    """Sort photographs into bins of confidence.

    Args:
      confidence: Confidence in the top class of each photograph.
      right: Whether the top class is the photograph's.
      bins: Number of bins of equal width.
    """
    place = np.clip(np.ceil(np.asarray(confidence) * bins).astype(int) - 1, 0, bins - 1)
    found = []
    for k in range(bins):
        inside = place == k
        count = int(inside.sum())
        means = (float(confidence[inside].mean()), float(right[inside].mean())) if count else ()
        found.append(Bin(k / bins, (k + 1) / bins, count, *(means or (None, None))))
    return tuple(found)


def expected_calibration_error(
    confidence: Float[np.ndarray, " n"], right: Bool[np.ndarray, " n"], *, bins: int = BINS
) -> float:
    """Return the mean distance of confidence and accuracy over bins (Guo et al., ICML 2017, eq. 3).

    Args:
      confidence: Confidence in the top class of each photograph.
      right: Whether the top class is the photograph's.
      bins: Number of bins of equal width.

    Returns:
      The error in [0, 1], weighted by the photographs in each bin.
    """
    place = np.clip(np.ceil(np.asarray(confidence) * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, np.asarray(confidence) - np.asarray(right, np.float64), bins)
    return float(np.abs(gaps).sum() / len(place))


def fit_temperature(
    logits: Float[np.ndarray, "n classes"],
    labels: Int[np.ndarray, " n"],
    *,
    multilabel: bool = False,
) -> float:
    """Return the temperature in 0.05..20 with the least cross-entropy on photographs.

    Args:
      logits: Logits of the photographs.
      labels: Class of each photograph.
      multilabel: Whether each class is a label that holds independently of the others. Other labels
        may hold as well, so only the most confident one counts: is it the photograph's?
    """
    z, rows = np.asarray(logits, np.float64), np.arange(len(labels))
    top, right = z.max(axis=1), z.argmax(axis=1) == labels

    def loss(log_t: float) -> float:
        if multilabel:
            return float(np.logaddexp(0.0, np.where(right, -top, top) / np.exp(log_t)).mean())
        return -float(scipy.special.log_softmax(z / np.exp(log_t), axis=1)[rows, labels].mean())

    bounds = (np.log(0.05), np.log(20.0))
    return float(np.exp(scipy.optimize.minimize_scalar(loss, bounds=bounds, method="bounded").x))
