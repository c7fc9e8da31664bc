"""Allowed values of settings whose own modules import JAX. This module does not."""

from typing import Literal

ArchiveRule = Literal["all", "argmax"]
"""Cells in which a picture competes: `archive.py`."""

Color = Literal["gray", "hls", "hsv", "rgb"]
"""Meanings of a picture's channels: `encodings/color.py`."""

Joint = Literal["least", "mean"]
"""Rules that combine the log-odds of several networks: `models/joint.py`."""

KeepGenomes = Literal["auto", "none", "ancestors", "all"]
"""Genomes of former elites that a run keeps: `runs/genomes.py`."""

Precision = Literal["float32", "bfloat16"]
"""Types of a network's parameters and arithmetic: `models/load.py`."""

ShareRule = Literal["fixed", "adaptive"]
"""How emitters share a batch: `map_elites/config.py`."""
