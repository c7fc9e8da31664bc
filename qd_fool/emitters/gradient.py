"""The gradient emitter: elites climb toward their cell's class, through the evaluation kernel."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from qd_fool.archive import ClassArchive
from qd_fool.emitters.base import STEP_EVALUATIONS, Emitter, register_emitter
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.models.scorer import Scorer
from qd_fool.scoring.confidence import log_odds_of
from qd_fool.scoring.log_odds import log_odds


@dataclasses.dataclass(frozen=True)
class GradientSettings:
    """Settings of the gradient emitter.

    Attributes:
      steps: of Adam on the log-odds of the parent's class, each counted as four evaluations.
      rate: of learning, in units of the encoding's values (a grey level of 255, a CPPN's weight);
        None for the encoding's own.
      ceiling: cells of this confidence and more are passed over.
    """

    steps: int = 8
    rate: float | None = None
    ceiling: float = 0.9999

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"gradient-steps is {self.steps}: expected 1 or more")
        if self.rate is not None and not 0.0 < self.rate < np.inf:
            raise UserError(f"gradient-rate is {self.rate}: expected above 0")
        if not 0.0 < self.ceiling < 1.0:
            raise UserError(f"gradient-ceiling is {self.ceiling}: expected between 0 and 1")


@register_emitter("gradient", settings=GradientSettings)
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
    ceiling = float(log_odds_of(settings.ceiling))
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
