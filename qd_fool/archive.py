"""ClassArchive: one cell per class, as one pytree; insertion and statistics are pure functions.

Source: Nguyen, Yosinski & Clune (CVPR 2015), "Deep Neural Networks are Easily Fooled", section 2
(MAP-Elites with one cell per class); sferes/modules/map_elite/map_elite.hpp of the original code.
"""

from typing import no_type_check

import chex
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, PyTree


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class Offspring:
    """A batch of individuals that compete for the cells.

    Attributes:
      genomes: Pytree of arrays `(batch, ...)`.
      id: `(batch,)` numbers, unique within a run: generation * batch_size + index.
      parent_id: `(batch,)` ids of the parents; -1 for the random individuals of generation 0.
      parent_class: `(batch,)` cells that the parents were in; -1 for random individuals.
    """

    genomes: PyTree[Array]
    id: Int[Array, " batch"]
    parent_id: Int[Array, " batch"]
    parent_class: Int[Array, " batch"]


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class ClassArchive:
    """The best individual found so far for each class.

    Attributes:
      genomes: Pytree of arrays `(cells, ...)`.
      fitness: `(cells,)` log-odds of the confidence for the cell's class; -inf marks an empty cell.
      id, parent_id, parent_class: `(cells,)`, as in `Offspring`; -1 in an empty cell.
      born: `(cells,)` generation in which the elite was made; -1 in an empty cell.
    """

    genomes: PyTree[Array]
    fitness: Float[Array, " cells"]
    id: Int[Array, " cells"]
    parent_id: Int[Array, " cells"]
    parent_class: Int[Array, " cells"]
    born: Int[Array, " cells"]

    @property
    def occupied(self) -> Bool[Array | np.ndarray, " cells"]:
        """`(cells,)` whether each cell holds an elite."""
        return self.fitness > -jnp.inf


def empty_archive(genome_shapes: PyTree[jax.ShapeDtypeStruct], cells: int) -> ClassArchive:
    """Return an archive with no elites.

    Args:
      genome_shapes: Shapes and dtypes of *one* genome, without the cell axis.
      cells: Number of classes.
    """

    def none() -> Array:
        # One array per field: donated buffers may not be shared.
        return jnp.full((cells,), -1, jnp.int32)

    return ClassArchive(
        genomes=jax.tree.map(lambda s: jnp.zeros((cells, *s.shape), s.dtype), genome_shapes),
        fitness=jnp.full((cells,), -jnp.inf, jnp.float32),
        id=none(),
        parent_id=none(),
        parent_class=none(),
        born=none(),
    )


def competing_fitness(
    fitness: Float[Array, "batch cells"], *, rule: str = "all"
) -> Float[Array, "batch cells"]:
    """Return each individual's bid for each cell; -inf where it may not compete.

    NaN and infinities never compete.

    Args:
      fitness: `(batch, cells)` log-odds of every class.
      rule: "all": every individual competes in every cell, as in the original
        (map_elite.hpp:240-272). "argmax": an individual competes only in the cell of its highest
        bid, the first of equals, as in most QD libraries.
    """
    # A network that breaks down may give NaN or infinity: such a score must not win a cell.
    finite = jnp.where(jnp.isfinite(fitness), fitness, -jnp.inf)
    if rule == "all":
        return finite

    # Rule "argmax": keep one bid per individual. `argmax` takes the first of equals.
    home = jnp.argmax(finite, axis=1, keepdims=True)
    return jnp.where(jnp.arange(fitness.shape[1])[None] == home, finite, -jnp.inf)


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class BestBids:
    """The best bid for each cell.

    Attributes:
      fitness: `(cells,)` log-odds; -inf where nobody bids.
      index: `(cells,)` place in the batch of the individual that bids so much, the first of equals.
    """

    fitness: Float[Array, " cells"]
    index: Int[Array, " cells"]


def best_bids(fitness: Float[Array, "batch cells"]) -> BestBids:
    """Return the best bid for each cell, from `competing_fitness`."""
    # argmax takes the first of equals: the lowest index wins a tie.
    index = jnp.argmax(fitness, axis=0).astype(jnp.int32)
    return BestBids(jnp.max(fitness, axis=0), index)


def best_of_shares(shares: BestBids, *, size: int) -> BestBids:
    """Return the best bid for each cell of a batch, from those of its shares.

    Args:
      shares: `(shares, cells)` best bids within each share, in order of the shares.
      size: Number of individuals in each share.
    """
    share = jnp.argmax(shares.fitness, axis=0)
    cell = jnp.arange(shares.fitness.shape[1])
    index = shares.index[share, cell] + share.astype(jnp.int32) * size
    return BestBids(jnp.max(shares.fitness, axis=0), index)


def shortlist(best: BestBids) -> tuple[Int[Array, " cells"], BestBids]:
    """Return the individuals that could win a cell, in ascending order, and their best bids.

    Ascending order keeps the rule that the lowest index wins a tie, when lists of several shares
    are joined. An index may occur more than once.
    """
    keep = jnp.sort(best.index)
    place = jnp.searchsorted(keep, best.index).astype(jnp.int32)
    return keep, BestBids(best.fitness, place)


def insert(
    archive: ClassArchive,
    offspring: Offspring,
    *,
    best: BestBids,
    generation: Int[Array, ""],
) -> tuple[ClassArchive, Bool[Array, " cells"]]:
    """Let a batch compete for the cells.

    The result is the same as if the individuals were offered one after the other. A cell changes
    hands only if the challenger is strictly better. A tie keeps the incumbent, and within the batch
    the lowest index wins.

    Args:
      archive: The incumbents.
      offspring: The challengers.
      best: Their best bid for each cell.
      generation: Generation of the challengers.

    Returns:
      The new archive, and `(cells,)` whether each cell changed.
    """
    cells = archive.fitness.shape[0]
    chex.assert_shape([best.fitness, best.index], (cells,))

    # A tie with the incumbent is no improvement.
    improved = best.fitness > archive.fitness

    # Genomes are large and few cells change. So the changed cells are listed (first in a list of
    # fixed length), and their genomes written one by one: an archive whose buffers are donated is
    # then updated in place.
    (changed,) = jnp.nonzero(improved, size=cells, fill_value=0)

    def write(i: Array, genomes: PyTree[Array]) -> PyTree[Array]:
        cell = changed[i]
        winner = best.index[cell]
        return jax.tree.map(lambda a, b: a.at[cell].set(b[winner]), genomes, offspring.genomes)

    # The other fields hold one number per cell, so rewriting all of them costs nothing.
    def take(new: Array, old: Array) -> Array:
        return jnp.where(improved, new, old)

    return (
        ClassArchive(
            genomes=jax.lax.fori_loop(0, jnp.sum(improved), write, archive.genomes),
            fitness=take(best.fitness, archive.fitness),
            id=take(offspring.id[best.index], archive.id),
            parent_id=take(offspring.parent_id[best.index], archive.parent_id),
            parent_class=take(offspring.parent_class[best.index], archive.parent_class),
            born=take(generation, archive.born),
        ),
        improved,
    )


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class Statistics:
    """Scalars over the cells.

    Attributes:
      median_confidence: Median of the cells' confidences in [0, 1]. An empty cell counts as 0.
      mean_confidence: Mean of the same confidences.
      min_confidence: Smallest of the same confidences.
      max_confidence: Largest of the same confidences.
      cells_over_99: Number of cells with a confidence of 0.99 or more.
      occupied: Number of cells that hold an elite.
      distinct: Number of different individuals in the archive.
    """

    median_confidence: Float[Array, ""]
    mean_confidence: Float[Array, ""]
    min_confidence: Float[Array, ""]
    max_confidence: Float[Array, ""]
    cells_over_99: Int[Array, ""]
    occupied: Int[Array, ""]
    distinct: Int[Array, ""]


def statistics(archive: ClassArchive) -> Statistics:
    """Summarise an archive: confidences, cells >= 0.99, occupied cells, distinct elites.

    The number of replacements is not in the archive: the state of the evolution counts them.
    """
    confidence = jax.nn.sigmoid(archive.fitness)

    # Distinct elites: sort the ids, and count each value where it first occurs. Empty cells sort
    # first, under an id that no individual has.
    nobody = jnp.iinfo(jnp.int32).min
    ids = jnp.sort(jnp.where(archive.occupied, archive.id, nobody))
    first = jnp.concatenate([jnp.ones((1,), bool), ids[1:] != ids[:-1]])
    return Statistics(
        median_confidence=jnp.median(confidence),
        mean_confidence=jnp.mean(confidence),
        min_confidence=jnp.min(confidence),
        max_confidence=jnp.max(confidence),
        # Compared as log-odds, which do not saturate: the threshold is exact.
        cells_over_99=jnp.sum(archive.fitness >= jnp.log(99.0), dtype=jnp.int32),
        occupied=jnp.sum(archive.occupied, dtype=jnp.int32),
        distinct=jnp.sum(first & (ids != nobody), dtype=jnp.int32),
    )
