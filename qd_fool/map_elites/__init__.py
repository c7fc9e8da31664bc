"""The search: configuration, state, one generation, segments, many seeds, a whole run in memory."""

from typing import TYPE_CHECKING

from qd_fool.lazy import lazy_names

if TYPE_CHECKING:
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
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "EvolutionState": "qd_fool.map_elites.state",
            "GenerationLog": "qd_fool.map_elites.state",
            "MapElitesConfig": "qd_fool.map_elites.config",
            "ask": "qd_fool.map_elites.generation",
            "counted_evaluations": "qd_fool.map_elites.config",
            "evolve": "qd_fool.map_elites.whole_run",
            "generations_for": "qd_fool.map_elites.config",
            "init": "qd_fool.map_elites.state",
            "make_segment": "qd_fool.map_elites.segments",
            "offspring_of": "qd_fool.map_elites.config",
            "raise_if_bad": "qd_fool.map_elites.segments",
            "segment_lengths": "qd_fool.map_elites.segments",
            "step": "qd_fool.map_elites.generation",
            "tell": "qd_fool.map_elites.generation",
        },
    )

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
