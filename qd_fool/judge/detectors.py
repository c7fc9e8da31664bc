"""Detectors of fooling images: numbers from logits that should be higher for photographs.

Sources: Hendrycks & Gimpel (ICLR 2017), maximum softmax probability; Liu et al. (NeurIPS 2020),
energy; Hendrycks et al. (ICML 2022), maximum logit; Guo et al. (ICML 2017), temperature scaling;
Wang et al. (NeurIPS 2021), energy of labels that hold independently.
"""

import numpy as np
import scipy.special
from jaxtyping import Float

__all__ = ["DETECTORS", "NEED_LOGITS", "detector_scores"]

DETECTORS = {
    "msp": "maximum softmax probability",
    "logit": "maximum logit",
    "energy": "logsumexp of the logits",
    "entropy": "negative entropy of the softmax",
    "margin": "softmax probability of the first class minus that of the second",
    "msp-t": "maximum softmax probability at the fitted temperature",
    "energy-t": "energy at the fitted temperature",
    "entropy-t": "negative entropy at the fitted temperature",
    "margin-t": "margin at the fitted temperature",
    "unknown": "one minus the probability of the class for unknown pictures",
}
"""Detectors and what they compute."""

NEED_LOGITS = ("logit", "energy", "energy-t")
"""Detectors that mean nothing for a classifier that gives probabilities only."""


def detector_scores(
    logits: Float[np.ndarray, "n classes"],
    *,
    temperature: float | None = None,
    unknown: int | None = None,
    multilabel: bool = False,
) -> dict[str, Float[np.ndarray, " n"]]:
    """Compute all detectors that can be computed, in float64; higher means more like a photograph.

    Args:
      logits: Logits of the pictures.
      temperature: Temperature of the detectors that end in "-t"; None leaves them out.
      unknown: Index of the class for unknown pictures, if the classifier has one.
      multilabel: Whether each class is a label that holds independently of the others. Then only
        "logit", "energy" (the energies of all labels summed up) and "unknown" mean something.

    Returns:
      One number per picture, by name of the detector. Maximum softmax probability and "unknown" are
      log-odds, which order pictures as probabilities do and still differ where these round to 1.
    """
    z = np.asarray(logits, np.float64)
    found = {"logit": z.max(axis=1)}
    if multilabel:
        found["energy"] = np.logaddexp(0.0, z).sum(axis=1)
    else:
        found |= _softmax_scores(z, "")
    if temperature is not None and not multilabel:
        found |= _softmax_scores(z / temperature, "-t")
        found["energy-t"] = temperature * found["energy-t"]
    if unknown is not None:
        found["unknown"] = -log_odds_of_logits(z, multilabel=multilabel)[:, unknown]
    return found


def _softmax_scores(z: np.ndarray, ending: str) -> dict[str, np.ndarray]:
    log_p = scipy.special.log_softmax(z, axis=1)
    p = np.exp(log_p)
    top = -np.partition(-p, 1, axis=1)[:, :2]
    return {
        f"msp{ending}": log_odds_of_logits(z).max(axis=1),
        f"energy{ending}": scipy.special.logsumexp(z, axis=1),
        f"entropy{ending}": (p * log_p).sum(axis=1),
        f"margin{ending}": top[:, 0] - top[:, 1],
    }


def log_odds_of_logits(
    logits: Float[np.ndarray, "n classes"], *, multilabel: bool = False
) -> Float[np.ndarray, "n classes"]:
    """Return `log p - log(1 - p)` of the softmax, in float64 and log space.

    Args:
      logits: Logits of the pictures.
      multilabel: Whether each class is a label of its own, whose logit has these log-odds already.
    """
    z = np.asarray(logits, np.float64)
    if multilabel:
        return z
    z = z - z.max(axis=1, keepdims=True)
    winner = np.arange(len(z)), z.argmax(axis=1)

    # For the winner, the others are summed on their own: a subtraction would leave 0.
    others = z.copy()
    others[winner] = -np.inf
    shares = np.exp(z)
    rest = shares.sum(axis=1, keepdims=True) - shares
    rest[winner] = 1.0
    odds = z - np.log(rest)
    odds[winner] = -scipy.special.logsumexp(others, axis=1)
    return odds
