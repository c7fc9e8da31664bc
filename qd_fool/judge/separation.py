"""How well a detector tells photographs from fooling pictures; scikit-learn does the arithmetic.

Photographs are the positives: a detector accepts a picture whose score reaches a threshold.
"""

import dataclasses
import importlib.util

import numpy as np
from jaxtyping import Bool, Float

from qd_fool.errors import UserError
from qd_fool.judge.intervals import Value, share_value
from qd_fool.judge.statistics import LEVEL

__all__ = ["Separation", "check_scikit_learn", "separation"]

ACCEPTED = 0.95
"""Share of photographs that the threshold accepts, at least."""

RESAMPLES = 200
"""Number of bootstrap samples."""


@dataclasses.dataclass(frozen=True)
class Separation:
    """What a detector achieves for one method.

    Attributes:
      auroc: Probability that a photograph scores higher than a fooling picture; a tie counts half.
      aupr: Average precision, with photographs as positives.
      fpr95: Share of fooling pictures that pass the highest threshold that accepts 95% of the
        photographs or more.
      threshold: This threshold.
      accuracy: Accuracy on photographs, if a photograph below the threshold counts as wrong.
    """

    auroc: Value
    aupr: Value
    fpr95: Value
    threshold: float
    accuracy: float


def check_scikit_learn() -> None:
    """Check that scikit-learn is installed, before anything long begins.

    Raises:
      UserError: It is not.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise UserError(
            "judging detectors needs scikit-learn, which is not installed: "
            'pip install "qd-fool[audit]"'
        )


def separation(
    photographs: Float[np.ndarray, " n"],
    fooling: Float[np.ndarray, " m"],
    right: Bool[np.ndarray, " n"],
    *,
    seed: int = 0,
) -> Separation:
    """Measure a detector on photographs and fooling pictures.

    Args:
      photographs: Scores of the photographs.
      fooling: Scores of the fooling pictures.
      right: Whether each photograph is classified correctly.
      seed: Seed of the bootstrap, which draws photographs and fooling pictures separately.

    Raises:
      UserError: scikit-learn is not installed.
    """
    check_scikit_learn()
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    scores = np.concatenate([photographs, fooling])
    is_photograph = np.arange(len(scores)) < len(photographs)
    fpr, tpr, thresholds = roc_curve(is_photograph, scores, drop_intermediate=False)
    at = int(np.argmax(tpr >= ACCEPTED))
    values = (
        float(roc_auc_score(is_photograph, scores)),
        float(average_precision_score(is_photograph, scores)),
        float(fpr[at]),
    )
    bounds = np.percentile(
        _resampled(photographs, fooling, seed=seed), [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=1
    )
    auroc, aupr, fpr95 = (
        Value(value, float(low), float(high))
        for value, low, high in zip(values, *bounds, strict=True)
    )
    # A bootstrap of few pictures that all pass, or of none, has no width: Wilson's interval has.
    few = share_value(np.asarray(fooling >= thresholds[at])[None])
    fpr95 = Value(fpr95.value, min(fpr95.low, few.low), max(fpr95.high, few.high))
    accepted = np.asarray(photographs) >= thresholds[at]
    return Separation(
        auroc, aupr, fpr95, float(thresholds[at]), float((accepted & np.asarray(right)).mean())
    )


def _resampled(photographs: np.ndarray, fooling: np.ndarray, *, seed: int) -> np.ndarray:
    """AUROC, AUPR and FPR at 95% TPR of bootstrap samples, `(3, RESAMPLES)`.

    A sample is a number of copies per distinct score. Then one cumulative sum over the scores in
    descending order gives the curves of all samples.
    """
    rng = np.random.default_rng(seed)
    levels = np.unique(np.concatenate([photographs, fooling]))[::-1]

    def copies(scores: np.ndarray) -> np.ndarray:
        count = np.bincount(np.searchsorted(-levels, -np.asarray(scores)), minlength=len(levels))
        return rng.multinomial(len(scores), count / len(scores), RESAMPLES).astype(np.float64)

    positives, negatives = copies(photographs), copies(fooling)
    return np.stack(curve_areas(positives, negatives))


def curve_areas(
    positives: Float[np.ndarray, "samples levels"], negatives: Float[np.ndarray, "samples levels"]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return AUROC, average precision and FPR at 95% TPR, `(samples,)` each.

    Args:
      positives: Number of photographs per distinct score, in descending order of scores.
      negatives: Number of fooling pictures, in the same way.
    """
    tp, fp = positives.cumsum(axis=1), negatives.cumsum(axis=1)
    tpr, fpr = tp / tp[:, -1:], fp / fp[:, -1:]
    below = np.pad(tpr, ((0, 0), (1, 0)))[:, :-1]
    auroc = ((tpr + below) / 2 * negatives).sum(axis=1) / fp[:, -1]
    precision = tp / np.maximum(tp + fp, 1.0)
    aupr = (precision * positives).sum(axis=1) / tp[:, -1]
    first = np.argmax(tpr >= ACCEPTED - 1e-12, axis=1)
    return auroc, aupr, fpr[np.arange(len(fpr)), first]
