"""Many small evolutions in one compiled call: MAP-Elites over seeds instead of over a batch.

Retraining evolves a hundred archives of ten cells against each network. A batch of one of them is
too small to be cut over devices, so devices get whole seeds.
"""

from collections.abc import Callable
from functools import partial
from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Int, Integer, PyTree, UInt8

from qd_fool.devices.chunks import map_chunks
from qd_fool.devices.mesh import AXIS
from qd_fool.encodings import Encoding
from qd_fool.map_elites.config import MapElitesConfig, check_extent
from qd_fool.map_elites.generation import step
from qd_fool.map_elites.state import EvolutionState, init
from qd_fool.models import Scorer
from qd_fool.scoring.crops import check_crops

__all__ = ["SeedRuns", "make_seed_evolution"]

LOG_ODDS_99 = float(np.log(99.0))


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class SeedRuns:
    """Evolutions that differ in their seed.

    Attributes:
      state: of each run after its last generation, `(seeds, ...)`.
      images: `(seeds, cells, height, width, channels)` the elites' 8-bit pictures; of an empty
        cell, whatever its blank genome shows.
      reached: `(seeds, cells)` the first generation after which the cell's confidence was 0.99 or
        more; -1 for never.
    """

    state: EvolutionState
    images: UInt8[Array, "seeds cells height width channels"]
    reached: Int[Array, "seeds cells"]


SeedEvolution = Callable[[PyTree[Array], Integer[Array, " seeds"]], SeedRuns]


def make_seed_evolution(
    scorer: Scorer,
    encoding: Encoding,
    config: MapElitesConfig,
    *,
    generations: int,
    mesh: Mesh,
    at_once: int = 1,
) -> SeedEvolution:
    """The compiled evolution of some seeds against a network that is an argument.

    Args:
      scorer: the network's facts; as many cells as it has names of classes.
      encoding: of the genomes.
      config: of each run.
      generations: after the random generation 0.
      mesh: devices to spread seeds over, evenly.
      at_once: seeds a device evolves side by side, by `vmap`; a divisor of what it gets. 1, one
        after the other, gives the bits of a run of that seed alone; more change the sizes of the
        network's batches, and with them the last bits of its scores.

    Returns:
      A jitted function `(params, seeds) -> SeedRuns`; the number of seeds must be a multiple of
      `mesh.devices.size * at_once`. The result of a seed depends on no other, nor on devices.

    Raises:
      UserError: pictures of this encoding can't be cut for this network, or too many evaluations.
    """
    check_crops(scorer, encoding.image_shape, crops=config.crops)
    check_extent(generations=generations, batch_size=config.batch_size, seed=0)
    cells = len(scorer.class_names)

    def one(params: PyTree[Array], seed: Array) -> SeedRuns:
        generation = partial(step, params=params, scorer=scorer, encoding=encoding, config=config)

        def body(
            carry: tuple[EvolutionState, Array], _: None
        ) -> tuple[tuple[EvolutionState, Array], None]:
            state, reached = carry
            after, log = generation(state)
            is_new = (reached < 0) & (log.fitness >= LOG_ODDS_99)
            return (after, jnp.where(is_new, state.generation, reached)), None

        # The generation of the first state is no batch under `vmap`, hence none in any later one:
        # a choice that depends on it is made once for all seeds.
        first = init(encoding, cells, seed=seed)
        never = jnp.full((cells,), -1, jnp.int32)
        (state, reached), _ = jax.lax.scan(body, (first, never), None, length=generations + 1)
        images = map_chunks(encoding.render, state.archive.genomes, chunk=config.chunk)
        return SeedRuns(state, images, reached)

    def share(params: PyTree[Array], seeds: Array) -> SeedRuns:
        groups = seeds.reshape(-1, at_once)
        alone = partial(one, params)
        if at_once == 1:
            return jax.lax.map(alone, seeds)
        out = jax.lax.map(jax.vmap(alone), groups)
        return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), out)

    everywhere, split = PartitionSpec(), PartitionSpec(AXIS)
    return jax.jit(
        jax.shard_map(
            share, mesh=mesh, in_specs=(everywhere, split), out_specs=split, check_vma=False
        )
    )
