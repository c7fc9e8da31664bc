"""qd_fool: fooling images for classifiers, by MAP-Elites over the classes."""

from qd_fool.ascent_blocks import ascend
from qd_fool.ascent_config import AscentConfig
from qd_fool.encodings import make_encoding
from qd_fool.map_elites import MapElitesConfig
from qd_fool.models import load_scorer
from qd_fool.segments import evolve

__version__ = "0.1.0"
__all__ = ["AscentConfig", "MapElitesConfig", "ascend", "evolve", "load_scorer", "make_encoding"]
