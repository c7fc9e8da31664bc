"""The words that a setting may be, where the module that reads the setting imports JAX."""

from typing import Literal

ArchiveRule = Literal["all", "argmax"]
"""Cells in which a picture competes: `archive.py`."""

Color = Literal["gray", "hls", "hsv", "rgb"]
"""Meanings of a picture's channels: `encodings/color.py`."""

Joint = Literal["least", "mean"]
"""From several networks' log-odds to one: `models/joint.py`."""

KeepGenomes = Literal["auto", "none", "ancestors", "all"]
"""Genomes of former elites that a run keeps: `runs/genomes.py`."""

Precision = Literal["float32", "bfloat16"]
"""Types of a network's parameters and arithmetic: `models/load.py`."""
