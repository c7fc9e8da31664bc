"""The paper's emitter: parents drawn evenly over the cells, then the encoding's variation."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from qd_fool.archive import ClassArchive
from qd_fool.emitters.base import Emitter
from qd_fool.emitters.variation_settings import VariationSettings
from qd_fool.encodings import Encoding
from qd_fool.models.network import Network


def variation(
    settings: VariationSettings, encoding: Encoding, scorer: Network | None, crops: int
) -> Emitter:
    """Draw a parent and a mate with replacement, and apply the encoding's variation.

    Args:
      settings: Settings of the emitter.
      encoding: Encoding of the genomes.
      scorer: The network, which this emitter does not need.
      crops: Crops per picture, which this emitter does not need.
    """
    del scorer, crops

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
        if settings.parents == "uniform":
            return chosen

        # A tournament of two: another draw takes the parent's place where it is better.
        worth = {"young": archive.born, "weak": -archive.fitness, "strong": archive.fitness}
        value = worth[settings.parents]
        others = jax.vmap(lambda key: draw(jax.random.fold_in(key, 1)))(keys)[:, 0]
        wins = value[others] > value[chosen[:, 0]]
        return jnp.stack([jnp.where(wins, others, chosen[:, 0]), chosen[:, 1]], axis=1)

    return Emitter(1, choose, encoding.vary)
