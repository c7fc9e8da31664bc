"""Many small evolutions in one compiled call, which differ in their seeds.

Retraining evolves a hundred archives of ten cells against each network. One archive's batch is too
small to be split over devices, so each device gets whole seeds.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Int, Integer, PyTree, UInt8

from qd_fool.devices.chunks import map_chunks
from qd_fool.devices.mesh import AXIS
from qd_fool.encodings import Encoding
from qd_fool.map_elites.config import MapElitesConfig
from qd_fool.map_elites.extent import check_extent
from qd_fool.map_elites.generation import step
from qd_fool.map_elites.state import EvolutionState, init
from qd_fool.models.network import Network
from qd_fool.scoring.confidence import log_odds_of
from qd_fool.scoring.crops import check_crops

__all__ = ["SeedRuns", "make_seed_evolution"]

LOG_ODDS_99 = float(log_odds_of(0.99))


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class SeedRuns:
    """Results of evolutions that differ in their seeds.

    Attributes:
      state: States of the runs after their last generation, `(seeds, ...)`.
      images: `(seeds, cells, height, width, channels)` 8-bit pictures of the elites. An empty cell
        holds a blank genome, and its picture is the picture of this genome.
      reached: `(seeds, cells)` the first generation after which the cell's confidence was 0.99 or
        more; -1 for never.
    """

    state: EvolutionState
    images: UInt8[Array, "seeds cells height width channels"]
    reached: Int[Array, "seeds cells"]


SeedEvolution = Callable[[PyTree[Array], Integer[Array, " seeds"]], SeedRuns]


def make_seed_evolution(
    scorer: Network,
    encoding: Encoding,
    config: MapElitesConfig,
    *,
    generations: int,
    mesh: Mesh,
    at_once: int = 1,
) -> SeedEvolution:
    """Compile the evolution of several seeds against a network whose weights are an argument.

    Args:
      scorer: The network's facts. There are as many cells as names of classes.
      encoding: Encoding of the genomes.
      config: Settings of each run. Seeds side by side have fixed shares: adaptive ones differ
        between seeds, and `vmap` would let each emitter make each chunk.
      generations: Number of generations after the random generation 0.
      mesh: Devices to spread seeds over, evenly.
      at_once: Number of seeds that a device evolves side by side, by `vmap`. With 1, each seed has
        the bits of a run of that seed alone. Larger numbers change the sizes of the network's
        batches, and with them the last bits of the scores.

    Returns:
      A jitted function `(params, seeds) -> SeedRuns`. The number of seeds must be a multiple of
      `mesh.devices.size * at_once`. The result of a seed does not depend on other seeds, nor on
      the number of devices.

    Raises:
      UserError: Pictures of this encoding can't be cut for this network, or too many evaluations.
    """
    check_crops(scorer, encoding.image_shape, crops=config.crops)
    check_extent(generations=generations, batch_size=config.batch_size, seed=0)
    if at_once > 1:
        config = dataclasses.replace(config, shares="fixed")
    cells = len(scorer.class_names)

    def evolve_one(params: PyTree[Array], seed: Array) -> SeedRuns:
        """Run one seed, from the empty archive to the pictures of the last elites."""
        generation = partial(step, params=params, scorer=scorer, encoding=encoding, config=config)

        def body(
            carry: tuple[EvolutionState, Array], _: None
        ) -> tuple[tuple[EvolutionState, Array], None]:
            # Run a generation, and note the cells that reach 0.99 for the first time.
            state, reached = carry
            after, log = generation(state)
            is_new = (reached < 0) & (log.fitness >= LOG_ODDS_99)
            return (after, jnp.where(is_new, state.generation, reached)), None

        # The number of the generation is the same for all seeds, and `vmap` can see that. So a
        # choice that depends on the generation stays a branch: no seed computes both sides.
        first = init(encoding, cells, seed=seed, feedback=config.feedback)
        never = jnp.full((cells,), -1, jnp.int32)
        (state, reached), _ = jax.lax.scan(body, (first, never), None, length=generations + 1)

        # Draw the last elites.
        images = map_chunks(encoding.render, state.archive.genomes, chunk=config.chunk)
        return SeedRuns(state, images, reached)

    def evolve_share(params: PyTree[Array], seeds: Array) -> SeedRuns:
        """Run the seeds of one device: one group after another, side by side within a group."""
        evolve_seed = partial(evolve_one, params)
        if at_once == 1:
            return jax.lax.map(evolve_seed, seeds)
        out = jax.lax.map(jax.vmap(evolve_seed), seeds.reshape(-1, at_once))
        return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), out)

    # The weights are copied to every device, the seeds are split over devices.
    everywhere, split = PartitionSpec(), PartitionSpec(AXIS)
    return jax.jit(
        jax.shard_map(
            evolve_share, mesh=mesh, in_specs=(everywhere, split), out_specs=split, check_vma=False
        )
    )
