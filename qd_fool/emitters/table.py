"""The table of emitters, and the two that this project has; neither is imported for it."""

from qd_fool.emitters.gradient_settings import GradientSettings
from qd_fool.emitters.variation_settings import VariationSettings
from qd_fool.registry import SETTINGS_TABLES, Entry, SettingsRegistry

EMITTERS = SettingsRegistry("emitter", SETTINGS_TABLES)

EMITTERS.register("variation")(Entry(VariationSettings, "qd_fool.emitters.variation:variation"))
EMITTERS.register("gradient")(Entry(GradientSettings, "qd_fool.emitters.gradient:gradient"))
