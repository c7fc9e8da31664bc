"""The gradient emitter: elites climb toward the class of their cell, by the network's gradient."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from qd_fool.archive import ClassArchive
from qd_fool.emitters.base import STEP_EVALUATIONS, Climb, Emitter
from qd_fool.emitters.gradient_settings import GradientSettings
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.models.network import Network
from qd_fool.scoring.confidence import log_odds_of
from qd_fool.scoring.log_odds import log_odds


def gradient(
    settings: GradientSettings, encoding: Encoding, scorer: Network | None, crops: int
) -> Emitter:
    """Elites climb toward the class of their cell. Cells below the ceiling take turns.

    Nothing is random: an elite whose climb failed fails again, until an offspring of another elite
    takes the cell. So mix this emitter with variation.

    Args:
      settings: Settings of the emitter.
      encoding: Encoding of the genomes.
      scorer: Network to climb. It may be None if `improve` is never called.
      crops: Crops per picture, 1 or 10.

    Raises:
      UserError: The encoding has no variables that a gradient could move.
    """
    if encoding.variables is None:
        raise UserError(f"the {encoding.name} encoding has nothing that a gradient could move")
    variables = encoding.variables
    # An archive keeps confidences as log-odds.
    ceiling = float(log_odds_of(settings.ceiling))
    optimizer = optax.adam(settings.rate or variables.rate)

    def choose(
        keys: Key[Array, " n"], archive: ClassArchive, rank: Int[Array, " n"]
    ) -> Int[Array, "n 2"]:
        del keys
        cells = archive.fitness.shape[0]
        # Cells below the ceiling take turns; all occupied cells if none is below it.
        below = archive.occupied & (archive.fitness < ceiling)
        below = jnp.where(jnp.any(below), below, archive.occupied)
        (order,) = jnp.nonzero(below, size=cells, fill_value=0)
        count = jnp.maximum(jnp.sum(below, dtype=jnp.int32), 1)
        # `rank` continues from generation to generation, so that every cell has its turn.
        cell = order[rank % count].astype(jnp.int32)
        return jnp.stack([cell, cell], axis=1)

    def emit(
        keys: Key[Array, " n"], parents: PyTree[Array], mates: PyTree[Array], generation: Array
    ) -> PyTree[Array]:
        del keys, mates, generation
        return parents  # `improve` does the work

    def begin(genomes: PyTree[Array]) -> tuple[Array, Any]:
        values = variables.take(genomes)
        return values, optimizer.init(values)

    def move(genomes: PyTree[Array], values: Array, memory: Any, slope: Array) -> tuple[Array, Any]:
        # The step of each value at a learning rate of 1. The effects of a CPPN's weights on a
        # picture differ by a factor of 100.
        size = variables.steps(genomes)
        # A genome without a finite gradient does not move.
        slope = jnp.nan_to_num(slope, posinf=0.0, neginf=0.0)
        # Optax minimises, so the slope is negated. Adam works in units of `size`.
        update, memory = optimizer.update(-slope * size, memory)
        return jnp.clip(values + update * size, variables.low, variables.high), memory

    def improve(
        params: PyTree[Array], genomes: PyTree[Array], classes: Int[Array, " n"]
    ) -> PyTree[Array]:
        if scorer is None:
            raise ValueError("a gradient needs the network")

        # The target is the sum over the batch: genomes are independent, so the gradient of the sum
        # holds the gradient of each genome.
        def target(values: Float[Array, "n size"]) -> Float[Array, ""]:
            scores = log_odds(scorer, params, variables.draw(genomes, values), crops=crops)
            return jnp.sum(jnp.take_along_axis(scores, classes[:, None], axis=1))

        def climb(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], None]:
            values, memory = carry
            return move(genomes, values, memory, jax.grad(target)(values)), None

        # Values are not rounded between steps; `put` rounds them once, to values that a genome can
        # hold.
        (values, _), _ = jax.lax.scan(climb, begin(genomes), None, length=settings.steps)
        return variables.put(genomes, values)

    # The offspring's score is one evaluation; the climb is the rest.
    parts = Climb(settings.steps, begin, variables.draw, move, variables.put)
    return Emitter(1 + STEP_EVALUATIONS * settings.steps, choose, emit, improve, parts)
