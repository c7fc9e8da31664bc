"""Emitters: where offspring come from, and how they share a batch."""

from typing import TYPE_CHECKING

from qd_fool.lazy import lazy_names

if TYPE_CHECKING:
    from qd_fool.emitters.base import Emitter, register_emitter
    from qd_fool.emitters.gradient_settings import GradientSettings
    from qd_fool.emitters.operator_settings import OperatorSettings
    from qd_fool.emitters.shares import Share
    from qd_fool.emitters.table import EMITTERS
    from qd_fool.emitters.variation_settings import VariationSettings
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "EMITTERS": "qd_fool.emitters.table",
            "Emitter": "qd_fool.emitters.base",
            "GradientSettings": "qd_fool.emitters.gradient_settings",
            "OperatorSettings": "qd_fool.emitters.operator_settings",
            "Share": "qd_fool.emitters.shares",
            "VariationSettings": "qd_fool.emitters.variation_settings",
            "register_emitter": "qd_fool.emitters.base",
        },
    )

__all__ = [
    "EMITTERS",
    "Emitter",
    "GradientSettings",
    "OperatorSettings",
    "Share",
    "VariationSettings",
    "register_emitter",
]
