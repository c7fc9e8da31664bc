"""Genomes and how they become pictures."""

from qd_fool.encodings import cppn as _cppn  # noqa: F401  (registers it)
from qd_fool.encodings import direct as _direct  # noqa: F401  (registers it)
from qd_fool.encodings.base import ENCODINGS, Encoding, make_encoding

__all__ = ["ENCODINGS", "Encoding", "make_encoding"]
