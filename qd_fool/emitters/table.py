"""The table of emitters, with this project's. Their code is imported at first use."""

from qd_fool.emitters.gradient_settings import GradientSettings
from qd_fool.emitters.operator_settings import OperatorSettings
from qd_fool.emitters.variation_settings import VariationSettings
from qd_fool.registry import SETTINGS_TABLES, Entry, SettingsRegistry

EMITTERS = SettingsRegistry("emitter", SETTINGS_TABLES)

EMITTERS.register("variation")(Entry(VariationSettings, "qd_fool.emitters.variation:variation"))
EMITTERS.register("gradient")(Entry(GradientSettings, "qd_fool.emitters.gradient:gradient"))

OPERATORS = ("fine", "edge", "node", "prune", "function", "recombine")
"""Emitters that change one thing at a time."""

for _name in OPERATORS:
    EMITTERS.register(_name)(Entry(OperatorSettings, f"qd_fool.emitters.operators:{_name}"))
