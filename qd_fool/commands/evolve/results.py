"""The facts that close an evolution in `run.json`."""

from collections.abc import Callable
from typing import Any

from qd_fool.map_elites.state import EvolutionState


def facts_of(
    state: EvolutionState, *, generations: int, evaluations: Callable[[int], int]
) -> dict[str, Any]:
    """The status of an evolution and its progress, for `run.json`.

    Args:
      state: State on the host.
      generations: Number of generations after generation 0 that the evolution needs.
      evaluations: Evaluations counted up to the end of a generation.
    """
    done = int(state.generation)
    return {
        "status": "finished" if done > generations else "interrupted",
        "generations_done": done - 1,
        "evaluations": evaluations(done - 1) if done else 0,
    }
