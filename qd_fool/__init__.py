"""qd_fool: fooling images for classifiers, by MAP-Elites over the classes."""

from qd_fool.ascent.ascend import ascend
from qd_fool.ascent.config import AscentConfig
from qd_fool.encodings import make_encoding
from qd_fool.map_elites.config import MapElitesConfig
from qd_fool.map_elites.whole_run import evolve
from qd_fool.models import load_scorer
from qd_fool.runs.frame import ancestor_frame, archive_frame
from qd_fool.runs.load import LoadedArchive, ancestor_pictures, archive_pictures, load_archive

__version__ = "0.1.0"
__all__ = [
    "AscentConfig",
    "LoadedArchive",
    "MapElitesConfig",
    "ancestor_frame",
    "ancestor_pictures",
    "archive_frame",
    "archive_pictures",
    "ascend",
    "evolve",
    "load_archive",
    "load_scorer",
    "make_encoding",
]
