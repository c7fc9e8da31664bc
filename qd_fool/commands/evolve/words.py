"""Messages of a run, during it and at its end."""

from collections.abc import Sequence

import numpy as np

from qd_fool.archive import Statistics
from qd_fool.map_elites.state import EvolutionState
from qd_fool.scoring.confidence import confidence_of, percent

ORIGINAL = {"cppn": (5001, 400), "direct": (5010, 200)}
"""Generations and offspring of the original code's ImageNet runs, after one random generation of
that size (sferes/exp/images/dl_map_elites_images*.cpp); ten crops each."""


def progress_info(statistics: Statistics, *, rate: float, cells: int) -> str:
    """Return the figures that stand beside the progress bar.

    Args:
      statistics: Statistics of the archive, on the host.
      rate: Evaluations per second.
      cells: Number of cells in the archive.
    """
    return (
        f"{rate:,.0f} evaluations/s  "
        f"median {float(statistics.median_confidence):.6f}  "
        f">=0.99: {int(statistics.cells_over_99)}/{cells}"
    )


def share_of_the_original(encoding: str, evaluations: int) -> str:
    """The share of the original's search that a run has done, in words."""
    generations, batch = ORIGINAL[encoding]
    whole = (generations + 1) * batch
    return (
        f"that is {evaluations / whole:.1%} of the original's search with this encoding: "
        f"{whole:,} pictures, {generations} generations of {batch}"
    )


def most_confident(state: EvolutionState, names: Sequence[str], *, count: int = 5) -> str:
    """The classes of the most confident elites, best first, in words."""
    fitness = np.asarray(state.archive.fitness)
    best = [int(k) for k in np.argsort(-fitness, kind="stable")[:count] if fitness[k] > -np.inf]
    phrases = [
        f"{names[k].split(',')[0]} {percent(float(confidence_of(fitness[k])))}" for k in best
    ]
    return ", ".join(phrases) or "none"
