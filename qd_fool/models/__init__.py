"""Classifiers: architectures, weights, and the facts of each."""

from qd_fool.models.scorer import Scorer
from qd_fool.models.zoo import ZOO, load_scorer

__all__ = ["ZOO", "Scorer", "load_scorer"]
