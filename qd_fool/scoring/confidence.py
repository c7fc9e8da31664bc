"""From log-odds to confidences, and to their text."""

import math
from typing import Any

import numpy as np

__all__ = ["confidence_of", "percent"]


def confidence_of(fitness: Any) -> Any:  # an array of one value comes back as a number
    """Log-odds to confidence in [0, 1], in float64, where it goes on past float32's 1."""
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-np.asarray(fitness, np.float64)))


def percent(confidence: float) -> str:
    """`99.9987%`: never rounded up to 100."""
    return f"{math.floor(confidence * 1e6) / 1e4:.4f}%"
