"""Classifiers: architectures, weights, and the facts of each."""

from typing import TYPE_CHECKING

from qd_fool.lazy import lazy_names

if TYPE_CHECKING:
    from qd_fool.models.load import load_scorer
    from qd_fool.models.scorer import Scorer
    from qd_fool.models.zoo import ZOO
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "ZOO": "qd_fool.models.zoo",
            "Scorer": "qd_fool.models.scorer",
            "load_scorer": "qd_fool.models.load",
        },
    )

__all__ = ["ZOO", "Scorer", "load_scorer"]
