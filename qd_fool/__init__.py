"""qd_fool: fooling images for classifiers, by MAP-Elites over the classes."""

from qd_fool.archive_files import (
    LoadedArchive,
    ancestor_pictures,
    archive_pictures,
    load_archive,
)
from qd_fool.archive_frame import ancestor_frame, archive_frame
from qd_fool.ascent_blocks import ascend
from qd_fool.ascent_config import AscentConfig
from qd_fool.encodings import make_encoding
from qd_fool.map_elites import MapElitesConfig
from qd_fool.models import load_scorer
from qd_fool.segments import evolve

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
