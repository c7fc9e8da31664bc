"""The facts that close an evolution in `run.json`."""

from typing import Any

from qd_fool.map_elites.state import EvolutionState


def facts_of(
    state: EvolutionState, *, generations: int, evaluations: int, ended: bool = False
) -> dict[str, Any]:
    """The status of an evolution and its progress, for `run.json`.

    Args:
      state: State on the host.
      generations: Number of generations after generation 0 that the evolution needs.
      evaluations: Evaluations counted so far.
      ended: Whether the evolution is over with fewer generations, as its evaluations are spent.
    """
    done = int(state.generation)
    return {
        "status": "finished" if ended or done > generations else "interrupted",
        "generations_done": done - 1,
        "evaluations": evaluations,
    }
