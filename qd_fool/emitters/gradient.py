"""The gradient emitter: elites climb toward the class of their cell, by the network's gradient."""

from typing import Any

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from qd_fool.archive import ClassArchive
from qd_fool.emitters.base import STEP_EVALUATIONS, Emitter
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
    takes the cell. Variation beside this emitter keeps archives moving.

    Args:
      settings: Settings of the emitter.
      encoding: Encoding of the genomes.
      scorer: The network; None where nothing has to be improved.
      crops: Crops per picture, 1 or 10.

    Raises:
      UserError: The encoding has no variables that a gradient could move.
    """
    if encoding.variables is None:
        raise UserError(f"the {encoding.name} encoding has nothing that a gradient could move")
    variables = encoding.variables
    # As log-odds, which is how an archive keeps confidences.
    ceiling = float(log_odds_of(settings.ceiling))
    optimizer = optax.adam(settings.rate or variables.rate)

    def choose(
        keys: Key[Array, " n"], archive: ClassArchive, rank: Int[Array, " n"]
    ) -> Int[Array, "n 2"]:
        del keys
        cells = archive.fitness.shape[0]
        # The cells that have something to gain; all occupied ones if there are none.
        below = archive.occupied & (archive.fitness < ceiling)
        below = jnp.where(jnp.any(below), below, archive.occupied)
        (order,) = jnp.nonzero(below, size=cells, fill_value=0)
        count = jnp.maximum(jnp.sum(below, dtype=jnp.int32), 1)
        # `rank` counts on from generation to generation, so that every cell has its turn.
        cell = order[rank % count].astype(jnp.int32)
        return jnp.stack([cell, cell], axis=1)

    def emit(
        keys: Key[Array, " n"], parents: PyTree[Array], mates: PyTree[Array], generation: Array
    ) -> PyTree[Array]:
        del keys, mates, generation
        return parents  # `improve` does the work

    def improve(
        params: PyTree[Array], genomes: PyTree[Array], classes: Int[Array, " n"]
    ) -> PyTree[Array]:
        if scorer is None:
            raise ValueError("a gradient needs the network")
        # One unit of the learning rate is one such step. A CPPN's weights differ in what they do
        # to a picture by a factor of 100.
        size = variables.steps(genomes)

        # The sum over the batch: its gradient holds the gradient of each genome by itself.
        def target(values: Float[Array, "n size"]) -> Float[Array, ""]:
            scores = log_odds(scorer, params, variables.draw(genomes, values), crops=crops)
            return jnp.sum(jnp.take_along_axis(scores, classes[:, None], axis=1))

        def climb(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], None]:
            values, memory = carry
            # A genome without a usable gradient stays where it is.
            slope = jnp.nan_to_num(jax.grad(target)(values), posinf=0.0, neginf=0.0)
            # Optax descends, hence the minus. Adam sees slopes per step, and moves by steps.
            update, memory = optimizer.update(-slope * size, memory)
            moved = jnp.clip(values + update * size, variables.low, variables.high)
            return (moved, memory), None

        # Between the steps, values are not rounded to what a genome can hold; `put` rounds once.
        values = variables.take(genomes)
        (values, _), _ = jax.lax.scan(
            climb, (values, optimizer.init(values)), None, length=settings.steps
        )
        return variables.put(genomes, values)

    # The offspring's score is one evaluation; the climb is the rest.
    return Emitter(1 + STEP_EVALUATIONS * settings.steps, choose, emit, improve)
