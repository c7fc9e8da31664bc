"""Counted evaluations: what a run has spent, and how many generations a budget allows.

An offspring's score counts as one evaluation. A gradient step counts as several: the emitter states
the number.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.map_elites.config import MapElitesConfig, build_emitters, emitter_table
from qd_fool.map_elites.division import batch_division, made_by
from qd_fool.map_elites.state import EvolutionState


def offspring_of(config: MapElitesConfig) -> list[int]:
    """Count each emitter's offspring per generation, where shares are fixed.

    The last chunk of a batch may be smaller than the others.
    """
    if len(config.emitters) == 1:
        return [config.batch_size]
    individuals = np.repeat(emitter_table(config), config.chunk)[: config.batch_size]
    return np.bincount(individuals, minlength=len(config.emitters)).tolist()


@dataclasses.dataclass(frozen=True)
class Cost:
    """Counted evaluations of a generation after the first.

    Attributes:
      least, most: Lowest and highest number. They differ where adaptive shares divide the batch
        among emitters of different costs.
    """

    least: int
    most: int

    @property
    def varies(self) -> bool:
        """Whether generations may differ in their cost."""
        return self.least < self.most


def generation_cost(config: MapElitesConfig, encoding: Encoding) -> Cost:
    """Return the counted evaluations of a generation after the first.

    Args:
      config: Settings of the run.
      encoding: Encoding of the genomes.
    """
    costs = [emitter.evaluations for emitter in build_emitters(config, encoding)]
    if config.shares == "adaptive":
        return Cost(config.batch_size * min(costs), config.batch_size * max(costs))
    each = sum(n * cost for n, cost in zip(offspring_of(config), costs, strict=True))
    return Cost(each, each)


def next_cost(state: EvolutionState, config: MapElitesConfig, *, encoding: Encoding) -> int:
    """Return the counted evaluations of the coming generation.

    Args:
      state: The run.
      config: Settings of the run.
      encoding: Encoding of the genomes.
    """
    if int(state.generation) == 0:
        return config.batch_size
    # The state may be on the host. Genomes are large, and are not needed.
    feedback = jax.tree.map(jnp.asarray, state.feedback)
    state = dataclasses.replace(state, feedback=feedback)
    made = np.asarray(made_by(batch_division(state, config=config)[0], config=config))
    costs = [emitter.evaluations for emitter in build_emitters(config, encoding)]
    return int(made @ costs)


def counted_evaluations(config: MapElitesConfig, generation: int, *, encoding: Encoding) -> int:
    """Count the evaluations from the start of a run to the end of a generation; 0 is the first.

    Raises:
      UserError: Generations differ in their cost: `evaluations_so_far` reads the state instead.
    """
    cost = generation_cost(config, encoding)
    if cost.varies and generation > 0:
        raise UserError(
            "adaptive shares of emitters with different costs: the evaluations of a generation are "
            "not known before it runs; expected fixed shares"
        )
    return config.batch_size + generation * cost.least


def evaluations_so_far(
    state: EvolutionState, config: MapElitesConfig, *, encoding: Encoding
) -> int:
    """Return the counted evaluations of a run up to now.

    Args:
      state: The run.
      config: Settings of the run.
      encoding: Encoding of the genomes.
    """
    if state.feedback is not None:
        return int(state.feedback.evaluations)
    done = int(state.generation)
    return counted_evaluations(config, done - 1, encoding=encoding) if done else 0


def generations_for(config: MapElitesConfig, evaluations: int, *, encoding: Encoding) -> int:
    """Count the generations after the first that fit into a number of evaluations; at least 1.

    Where generations differ in their cost, this is the highest number that may fit.
    """
    least = generation_cost(config, encoding).least
    return max(1, (evaluations - config.batch_size) // least)
