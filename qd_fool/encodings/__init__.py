"""Encodings: how genomes vary and become pictures."""

from typing import TYPE_CHECKING

from qd_fool.lazy import lazy_names

if TYPE_CHECKING:
    from qd_fool.encodings.base import Encoding, make_encoding, register_encoding
    from qd_fool.encodings.table import ENCODINGS
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "ENCODINGS": "qd_fool.encodings.table",
            "Encoding": "qd_fool.encodings.base",
            "make_encoding": "qd_fool.encodings.base",
            "register_encoding": "qd_fool.encodings.base",
        },
    )

__all__ = ["ENCODINGS", "Encoding", "make_encoding", "register_encoding"]
