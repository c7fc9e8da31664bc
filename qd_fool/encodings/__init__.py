"""Genomes, and how they vary and become pictures."""

from qd_fool.encodings import direct as _direct  # noqa: F401  (registers it)
from qd_fool.encodings.base import ENCODINGS, Encoding, make_encoding
from qd_fool.encodings.cppn import encoding as _cppn  # noqa: F401  (registers it)

__all__ = ["ENCODINGS", "Encoding", "make_encoding"]
