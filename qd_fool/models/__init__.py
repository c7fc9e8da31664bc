"""Classifiers: architectures, weights, and the facts of each."""

from qd_fool.models import zoo as _zoo  # noqa: F401  (registers the networks)
from qd_fool.models.entry import ZOO
from qd_fool.models.load import load_scorer
from qd_fool.models.scorer import Scorer

__all__ = ["ZOO", "Scorer", "load_scorer"]
