"""The table of encodings, with this project's two. Their code is imported at first use."""

from qd_fool.encodings.cppn.settings import CppnSettings
from qd_fool.encodings.direct_settings import DirectSettings
from qd_fool.registry import SETTINGS_TABLES, Entry, SettingsRegistry

ENCODINGS = SettingsRegistry("encoding", SETTINGS_TABLES)

ENCODINGS.register("cppn")(Entry(CppnSettings, "qd_fool.encodings.cppn.encoding:cppn"))
ENCODINGS.register("direct")(Entry(DirectSettings, "qd_fool.encodings.direct:direct"))
