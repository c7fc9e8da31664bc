"""Where offspring come from, and how they share a batch."""

from qd_fool.emitters.base import EMITTERS, Emitter, register_emitter
from qd_fool.emitters.gradient import GradientSettings
from qd_fool.emitters.shares import Share
from qd_fool.emitters.variation import VariationSettings

__all__ = [
    "EMITTERS",
    "Emitter",
    "GradientSettings",
    "Share",
    "VariationSettings",
    "register_emitter",
]
