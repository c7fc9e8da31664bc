"""The climb of a gradient emitter where the network runs on the host."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, PyTree, UInt8

from qd_fool.emitters.base import Climb
from qd_fool.scoring.host import HostScoring


def make_climb(
    climb: Climb, scoring: HostScoring
) -> Callable[[PyTree[Array], PyTree[Array], Int[Array, " n"], int], PyTree[Array]]:
    """Return a function `params, genomes, classes, count -> genomes` for a chunk of offspring.

    The network sees 8-bit pictures; its gradient passes to the unrounded ones. `count` offspring
    count, and the others fill the chunk up.

    Args:
      climb: Parts of the climb, from an emitter.
      scoring: Scoring of the network, which has a gradient.
    """

    def rounded(genomes: PyTree[Array], values: Array) -> UInt8[Array, "n height width channels"]:
        return jnp.round(jnp.clip(climb.draw(genomes, values), 0, 255)).astype(jnp.uint8)

    def draw(genomes: PyTree[Array], values: Array) -> tuple[Array, tuple[Array, ...]]:
        images = rounded(genomes, values)
        return images, scoring.show(images)

    # The weight of each answer in the sum of the log-odds of all offspring's classes.
    def shares(answers: Any, classes: Array) -> Any:
        def total(answers: Any) -> Array:
            odds = scoring.joined(answers)[0]
            return jnp.sum(jnp.take_along_axis(odds, classes[:, None], axis=1))

        return jax.grad(total)(answers)

    def move(
        genomes: PyTree[Array], values: Array, memory: PyTree[Array], slope: Array
    ) -> tuple[Array, PyTree[Array]]:
        back = jax.vjp(lambda values: climb.draw(genomes, values), values)[1]
        return climb.move(genomes, values, memory, back(slope)[0])

    begin, draw, shares = jax.jit(climb.begin), jax.jit(draw), jax.jit(shares)
    move, end = jax.jit(move), jax.jit(climb.end)

    def improve(
        params: PyTree[Array], genomes: PyTree[Array], classes: Int[Array, " n"], count: int
    ) -> PyTree[Array]:
        values, memory = begin(genomes)
        for _ in range(climb.steps):
            images, shown = draw(genomes, values)
            weights = shares(scoring.ask(params, shown, count), classes)
            slope = scoring.image_gradient(params, images, shown, weights)
            values, memory = move(genomes, values, memory, slope)
        return end(genomes, values)

    return improve
