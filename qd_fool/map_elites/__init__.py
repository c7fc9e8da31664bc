"""The search: configuration, state, one generation, segments, many seeds, a whole run in memory."""

from qd_fool.map_elites.config import (
    MapElitesConfig,
    counted_evaluations,
    generations_for,
    offspring_of,
)
from qd_fool.map_elites.generation import ask, step, tell
from qd_fool.map_elites.segments import make_segment, raise_if_bad, segment_lengths
from qd_fool.map_elites.state import EvolutionState, GenerationLog, init
from qd_fool.map_elites.whole_run import evolve

__all__ = [
    "EvolutionState",
    "GenerationLog",
    "MapElitesConfig",
    "ask",
    "counted_evaluations",
    "evolve",
    "generations_for",
    "init",
    "make_segment",
    "offspring_of",
    "raise_if_bad",
    "segment_lengths",
    "step",
    "tell",
]
