"""A run between two generations, and a generation's row of the log."""

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
from qd_fool.map_elites.feedback import Feedback, no_feedback


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class EvolutionState:
    """A run between two generations.

    Attributes:
      archive: The elites.
      seed: Seed of all randomness.
      generation: The next generation to run; 0 is the random batch.
      replacements: Number of incumbents displaced so far, at most one per cell and generation.
        Filling an empty cell does not count.
      bad_generation: The first generation in which a score was NaN or infinite; -1 for none.
      refused: Number of mutations skipped so far because a genome's capacity was full, over all
        offspring.
      feedback: What the run has learnt from its offspring; None if nothing in the run depends on
        it.
    """

    archive: ClassArchive
    seed: UInt32[Array, ""]
    generation: Int[Array, ""]
    replacements: Int[Array, ""]
    bad_generation: Int[Array, ""]
    refused: Int[Array, ""]
    feedback: Feedback | None = None


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class EmitterLog:
    """What each emitter did in a generation.

    Attributes:
      evaluations: Counted evaluations of the run, up to the end of the generation.
      made: `(emitters,)` offspring of each emitter; none in generation 0.
      gain: `(emitters,)` confidence that they added to the archive, summed over cells.
    """

    evaluations: Int[Array, ""]
    made: Int[Array, " emitters"]
    gain: Float[Array, " emitters"]


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class GenerationLog:
    """A generation's row of the log.

    Attributes:
      generation: Number of the generation.
      statistics: Statistics of the archive after the generation.
      replacements, refused: Counts so far, as in `EvolutionState`.
      inserted: `(cells,)` whether each cell changed hands or was filled.
      id, parent_id, parent_class, fitness: `(cells,)` fields of the archive after the generation.
      emitters: What each emitter did; None in a run without feedback.
      offspring: `(n, ...)` individuals that competed, with id -1 for individuals that only fill a
        chunk up; None unless the run keeps genomes.
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
    emitters: EmitterLog | None = None
    offspring: Offspring | None = None


def init(
    encoding: Encoding, cells: int, *, seed: Integer[Array, ""] | int, feedback: bool = False
) -> EvolutionState:
    """Return a run before generation 0, with an empty archive.

    Args:
      encoding: Encoding of the genomes.
      cells: Number of classes.
      seed: Seed in 0..2^32-1; an array under `vmap`.
      feedback: Whether the run learns from its offspring, as `MapElitesConfig.feedback` says.
    """
    # The shapes of one genome, without making any.
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
        feedback=no_feedback(cells) if feedback else None,
    )


def batch_indices(
    state: EvolutionState, offspring: Offspring, *, batch_size: int
) -> Int[Array, " n"]:
    """Return the place of each individual in the coming generation's batch: ids contain it."""
    return offspring.id - state.generation * batch_size
