"""A run between two generations, and what a generation leaves for the log."""

from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Integer, UInt32

from qd_fool.archive import (
    ClassArchive,
    Offspring,
    Statistics,
    empty_archive,
)
from qd_fool.encodings import Encoding
from qd_fool.encodings.randomness import run_key


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class EvolutionState:
    """A run between two generations.

    Attributes:
      archive: the elites.
      seed: of all randomness.
      generation: the next generation to run; 0 is the random batch.
      replacements: incumbents displaced so far, at most one a cell and generation; filling an
        empty cell does not count.
      bad_generation: the first generation in which a score was NaN or infinite; -1 for none.
      refused: changes of genomes that found no room so far, over all offspring.
    """

    archive: ClassArchive
    seed: UInt32[Array, ""]
    generation: Int[Array, ""]
    replacements: Int[Array, ""]
    bad_generation: Int[Array, ""]
    refused: Int[Array, ""]


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class GenerationLog:
    """What one generation leaves for the log.

    Attributes:
      generation: scalar.
      statistics: of the archive after it.
      replacements, refused: running counts.
      inserted: `(cells,)` cells that changed hands, or were filled.
      id, parent_id, parent_class: `(cells,)` of the archive after it.
      fitness: `(cells,)` likewise.
      offspring: `(n, ...)` the individuals that competed, with id -1 where one is there to fill up;
        None unless the run keeps genomes.
    """

    generation: Int[Array, ""]
    statistics: Statistics
    replacements: Int[Array, ""]
    refused: Int[Array, ""]
    inserted: Bool[Array, " cells"]
    id: Int[Array, " cells"]
    parent_id: Int[Array, " cells"]
    parent_class: Int[Array, " cells"]
    fitness: Float[Array, " cells"]
    offspring: Offspring | None = None


def init(encoding: Encoding, cells: int, *, seed: Integer[Array, ""] | int) -> EvolutionState:
    """A run that has not begun: an empty archive, generation 0 to come.

    Args:
      encoding: of the genomes.
      cells: number of classes.
      seed: in 0..2^32-1; an array under `vmap`.
    """
    key = jax.ShapeDtypeStruct((1,), jax.eval_shape(lambda: run_key(0)).dtype)
    shapes = jax.tree.map(
        lambda s: jax.ShapeDtypeStruct(s.shape[1:], s.dtype), jax.eval_shape(encoding.init, key)
    )
    return EvolutionState(
        archive=empty_archive(shapes, cells),
        seed=jnp.asarray(seed, jnp.uint32),
        generation=jnp.int32(0),
        replacements=jnp.int32(0),
        bad_generation=jnp.int32(-1),
        refused=jnp.int32(0),
    )
