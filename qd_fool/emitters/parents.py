"""The choice of parents: cells drawn by chance, with a preference."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from qd_fool.archive import ClassArchive

WHOLE, LEAST = 2**15, 2**9
"""Weights of a cell under "promising": p (1 - p) in units of 1 / WHOLE, plus LEAST. Integers sum up
to the same total in any order."""

UNSURE, SURE = 2**12, 0.1
"""Weights of a cell under "unsure": 1 - p, plus SURE, in units of 1 / UNSURE. The sum of half a
million cells is below 2^31."""


def choose_parents(
    rule: str,
) -> Callable[[Key[Array, " n"], ClassArchive, Int[Array, " n"]], Int[Array, "n 2"]]:
    """Return the function `choose` of an emitter: it draws cells of parents and mates.

    Mates are drawn evenly over the occupied cells, and so are parents under "uniform".

    Args:
      rule: Preference among parents, as in `parent_rules.Parents`.
    """

    def choose(
        keys: Key[Array, " n"], archive: ClassArchive, rank: Int[Array, " n"]
    ) -> Int[Array, "n 2"]:
        del rank
        # The occupied cells come first in `order`, so an index below their number is an occupied
        # cell.
        cells = archive.fitness.shape[0]
        (order,) = jnp.nonzero(archive.occupied, size=cells, fill_value=0)
        count = jnp.maximum(jnp.sum(archive.occupied, dtype=jnp.int32), 1)

        def draw(key: Array) -> Int[Array, " 2"]:
            return order[jax.random.randint(key, (2,), 0, count, jnp.int32)].astype(jnp.int32)

        chosen = jax.vmap(draw)(keys)
        if rule == "uniform":
            return chosen

        others_keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
        if rule in WORTH:
            worth = WORTH[rule](jax.nn.sigmoid(archive.fitness))
            return chosen.at[:, 0].set(_drawn_by_worth(others_keys, archive, worth))

        # A tournament of two: another draw takes the parent's place where it is better.
        value = {"young": archive.born, "weak": -archive.fitness, "strong": archive.fitness}[rule]
        others = jax.vmap(draw)(others_keys)[:, 0]
        wins = value[others] > value[chosen[:, 0]]
        return jnp.stack([jnp.where(wins, others, chosen[:, 0]), chosen[:, 1]], axis=1)

    return choose


def _promising(p: Float[Array, " cells"]) -> Int[Array, " cells"]:
    """Weigh cells by p (1 - p) of their confidence p, and a little more.

    A small change of the log-odds moves a confidence p by p (1 - p) times as much: a sure cell has
    nothing left to gain, and a hopeless one is far away. LEAST leaves such cells some offspring.
    """
    return LEAST + jnp.round(p * (1 - p) * WHOLE).astype(jnp.int32)


def _unsure(p: Float[Array, " cells"]) -> Int[Array, " cells"]:
    """Weigh cells by what their confidence p lacks, and a little more.

    Hopeless cells get most.
    """
    return jnp.round((1 + SURE - p) * UNSURE).astype(jnp.int32)


WORTH = {"promising": _promising, "unsure": _unsure}
"""Rules that draw cells in proportion to a weight, which depends on the confidence."""


def _drawn_by_worth(
    keys: Key[Array, " n"], archive: ClassArchive, worth: Int[Array, " cells"]
) -> Int[Array, " n"]:
    """Draw occupied cells in proportion to their weights."""
    ends = jnp.cumsum(jnp.where(archive.occupied, worth, 0), dtype=jnp.int32)
    total = jnp.maximum(ends[-1], 1)
    drawn = jax.vmap(lambda key: jax.random.randint(key, (), 0, total, jnp.int32))(keys)
    return jnp.searchsorted(ends, drawn, side="right").astype(jnp.int32)
