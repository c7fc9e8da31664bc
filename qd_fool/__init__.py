"""qd_fool: fooling images for classifiers, by MAP-Elites over the classes."""

from typing import TYPE_CHECKING

from qd_fool.lazy import lazy_names

if TYPE_CHECKING:
    from qd_fool.ascent.ascend import ascend
    from qd_fool.ascent.config import AscentConfig
    from qd_fool.commands.audit.in_memory import audit
    from qd_fool.encodings import make_encoding
    from qd_fool.map_elites.config import MapElitesConfig
    from qd_fool.map_elites.whole_run import evolve
    from qd_fool.models import load_scorer
    from qd_fool.models.foreign.callable import from_callable
    from qd_fool.models.foreign.http.load import from_http
    from qd_fool.models.foreign.onnx.load import from_onnx
    from qd_fool.models.foreign.torch.load import from_torch
    from qd_fool.runs.frame import ancestor_frame, archive_frame
    from qd_fool.runs.load import (
        LoadedArchive,
        ancestor_pictures,
        archive_pictures,
        load_archive,
    )
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "AscentConfig": "qd_fool.ascent.config",
            "LoadedArchive": "qd_fool.runs.load",
            "MapElitesConfig": "qd_fool.map_elites.config",
            "ancestor_frame": "qd_fool.runs.frame",
            "ancestor_pictures": "qd_fool.runs.load",
            "archive_frame": "qd_fool.runs.frame",
            "archive_pictures": "qd_fool.runs.load",
            "ascend": "qd_fool.ascent.ascend",
            "audit": "qd_fool.commands.audit.in_memory",
            "evolve": "qd_fool.map_elites.whole_run",
            "from_callable": "qd_fool.models.foreign.callable",
            "from_http": "qd_fool.models.foreign.http.load",
            "from_onnx": "qd_fool.models.foreign.onnx.load",
            "from_torch": "qd_fool.models.foreign.torch.load",
            "load_archive": "qd_fool.runs.load",
            "load_scorer": "qd_fool.models.load",
            "make_encoding": "qd_fool.encodings.base",
        },
    )

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
    "audit",
    "evolve",
    "from_callable",
    "from_http",
    "from_onnx",
    "from_torch",
    "load_archive",
    "load_scorer",
    "make_encoding",
]
