"""The gradient emitter: elites climb toward their cell's class, through the evaluation kernel."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from qd_fool.archive import ClassArchive
from qd_fool.emitters.base import STEP_EVALUATIONS, Emitter
from qd_fool.emitters.gradient_settings import GradientSettings
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.models.scorer import Scorer
from qd_fool.scoring.log_odds import log_odds


def gradient(
    settings: GradientSettings, encoding: Encoding, scorer: Scorer | None, crops: int
) -> Emitter:
    """Elites climb toward the class of their cell: each cell below the ceiling in its turn.

    Nothing is drawn: an elite whose climb failed fails again, until another's offspring takes its
    cell. Variation beside it keeps archives moving.
    """
    if encoding.variables is None:
        raise UserError(f"the {encoding.name} encoding has nothing that a gradient could move")
    variables = encoding.variables
    ceiling = float(np.log(settings.ceiling) - np.log1p(-settings.ceiling))
    optimizer = optax.adam(settings.rate or variables.rate)

    def choose(
        keys: Key[Array, " n"], archive: ClassArchive, rank: Int[Array, " n"]
    ) -> Int[Array, "n 2"]:
        del keys
        cells = archive.fitness.shape[0]
        wanting = archive.occupied & (archive.fitness < ceiling)
        wanting = jnp.where(jnp.any(wanting), wanting, archive.occupied)
        (order,) = jnp.nonzero(wanting, size=cells, fill_value=0)
        count = jnp.maximum(jnp.sum(wanting, dtype=jnp.int32), 1)
        cell = order[rank % count].astype(jnp.int32)
        return jnp.stack([cell, cell], axis=1)

    def emit(
        keys: Key[Array, " n"], parents: PyTree[Array], mates: PyTree[Array], generation: Array
    ) -> PyTree[Array]:
        del keys, mates, generation
        return parents

    def improve(
        params: PyTree[Array], genomes: PyTree[Array], classes: Int[Array, " n"]
    ) -> PyTree[Array]:
        if scorer is None:
            raise ValueError("a gradient needs the network")
        size = variables.steps(genomes)

        def target(values: Float[Array, "n size"]) -> Float[Array, ""]:
            scores = log_odds(scorer, params, variables.draw(genomes, values), crops=crops)
            return jnp.sum(jnp.take_along_axis(scores, classes[:, None], axis=1))

        def climb(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], None]:
            values, memory = carry
            slope = jnp.nan_to_num(jax.grad(target)(values), posinf=0.0, neginf=0.0)
            # In units of a value's own step, as the learning rate is.
            update, memory = optimizer.update(-slope * size, memory)
            moved = jnp.clip(values + update * size, variables.low, variables.high)
            return (moved, memory), None

        values = variables.take(genomes)
        (values, _), _ = jax.lax.scan(
            climb, (values, optimizer.init(values)), None, length=settings.steps
        )
        return variables.put(genomes, values)

    return Emitter(1 + STEP_EVALUATIONS * settings.steps, choose, emit, improve)
