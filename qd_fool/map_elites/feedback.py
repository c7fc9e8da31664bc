"""What a run learns from its offspring: each emitter's gain and cost, and each cell's step size.

Sums are integers, so that they are the same in any order and on any number of devices.

Source of adaptive shares: Cully, "Multi-emitter MAP-Elites" (2021), which chooses emitters by their
success. Here an emitter's share follows the confidence that its offspring add to the archive per
counted evaluation. Source of the step sizes: Rechenberg's rule of one success in five, in the form
of Kern et al. (2004): a success enlarges the step, a failure shrinks it.
"""

import dataclasses
from collections.abc import Sequence
from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from qd_fool.archive import ClassArchive

MOST_EMITTERS = 16
"""Highest number of emitters in a run with feedback."""

ONE_GAIN = 2**12
"""Units of gain in a confidence of 1."""

ONE_CHUNK = 2**16
"""Units of credit in a chunk."""

HORIZON = 3000
"""Counted evaluations over which gain and cost are averaged, about."""

SHARPNESS = 3.0
"""Power of the gain per evaluation that an adaptive share is proportional to."""

LEAST_SHARE = 0.02
"""Smallest part of a batch that an adaptive emitter gets."""

FASTER, SLOWER = 1.5, 1.5**-0.25
"""Factors of a cell's step size after a success and after a failure. They balance at one success in
five."""

LEAST_SCALE, MOST_SCALE = 1 / 64, 64.0
"""Bounds of a cell's step size, relative to the emitter's own."""


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class Feedback:
    """What a run has learnt from its offspring so far.

    Attributes:
      evaluations: Counted evaluations so far.
      made: `(MOST_EMITTERS,)` offspring of each emitter so far.
      gain: `(MOST_EMITTERS,)` recent gain of each emitter: the confidence that its offspring added
        to the archive, summed over cells, in units of 1 / ONE_GAIN.
      cost: `(MOST_EMITTERS,)` recent counted evaluations of each emitter.
      credit: `(MOST_EMITTERS,)` chunks that each emitter is owed, in units of 1 / ONE_CHUNK.
      scale: `(cells,)` step size of each cell's offspring, relative to the emitter's own.
      tune_from: Generation from which emitters with a step size share in adaptive batches.
    """

    evaluations: Int[Array, ""]
    made: Int[Array, " capacity"]
    gain: Int[Array, " capacity"]
    cost: Int[Array, " capacity"]
    credit: Int[Array, " capacity"]
    scale: Float[Array, " cells"]
    tune_from: Int[Array, ""]


def no_feedback(cells: int) -> Feedback:
    """Return the feedback of a run before generation 0.

    Args:
      cells: Number of classes.
    """

    def zeros() -> Array:
        # One array per field: donated buffers may not be shared.
        return jnp.zeros(MOST_EMITTERS, jnp.int32)

    scale = jnp.ones(cells, jnp.float32)
    return Feedback(jnp.int32(0), zeros(), zeros(), zeros(), zeros(), scale, jnp.int32(0))


def shares_of(
    feedback: Feedback, stated: Sequence[float], *, joins: Bool[Array, " emitters"]
) -> Float[Array, " emitters"]:
    """Return the part of a batch that each emitter deserves, by its recent gain per evaluation.

    Each emitter gets LEAST_SHARE. The rest is divided in proportion to the stated share times a
    power of the gain. An emitter without offspring so far counts as the best one.

    Args:
      feedback: Feedback of the run.
      stated: `(emitters,)` stated shares, of any sum.
      joins: `(emitters,)` whether each emitter takes part in this batch; at least one does.
    """
    emitters = len(stated)
    gain = feedback.gain[:emitters].astype(jnp.float32)
    cost = feedback.cost[:emitters].astype(jnp.float32)
    rate = jnp.where(cost > 0, gain / jnp.maximum(cost, 1.0), jnp.inf)
    best = jnp.max(jnp.where(joins & (cost > 0), rate, 0.0))
    # Relative to the best one, so that the power cannot overflow. Without any gain all are equal.
    relative = jnp.where(best > 0, jnp.minimum(rate, best) / jnp.maximum(best, 1e-30), 1.0)
    weight = jnp.where(joins, jnp.asarray(stated, jnp.float32) * relative**SHARPNESS, 0.0)
    least = jnp.where(joins, LEAST_SHARE, 0.0)
    return least + (1.0 - jnp.sum(least)) * weight / jnp.sum(weight)


def divide(
    shares: Float[Array, " emitters"], credit: Int[Array, " capacity"], *, chunks: int
) -> tuple[Int[Array, " chunks"], Int[Array, " capacity"]]:
    """Give each chunk of a batch to the emitter that is owed most; of equals, to the first.

    What is owed is carried from batch to batch. So shares hold on average, even where a batch has
    fewer chunks than there are emitters.

    Args:
      shares: `(emitters,)` parts of a batch, which sum to 1.
      credit: `(MOST_EMITTERS,)` chunks that each emitter is owed, in units of 1 / ONE_CHUNK.
      chunks: Number of chunks in the batch.

    Returns:
      `(chunks,)` the emitter of each chunk, and the credit after the batch.
    """
    earned = jnp.round(shares * ONE_CHUNK).astype(jnp.int32)
    count = len(shares)

    def give(owed: Array, _: None) -> tuple[Array, Array]:
        owed = owed + earned
        emitter = jnp.argmax(owed).astype(jnp.int32)
        return owed.at[emitter].add(-ONE_CHUNK), emitter

    owed, table = jax.lax.scan(give, credit[:count], None, length=chunks)
    return table, credit.at[:count].set(owed)


def gains_of(
    before: ClassArchive,
    after: ClassArchive,
    inserted: Bool[Array, " cells"],
    emitter_of_winner: Int[Array, " cells"],
    *,
    emitters: int,
) -> Int[Array, " emitters"]:
    """Sum up the confidence that each emitter's offspring added, in units of 1 / ONE_GAIN.

    Args:
      before: Archive before the generation; an empty cell counts as 0.
      after: Archive after the generation.
      inserted: `(cells,)` whether each cell changed hands or was filled.
      emitter_of_winner: `(cells,)` emitter of the cell's elite, where it was inserted.
      emitters: Number of emitters.
    """
    added = jax.nn.sigmoid(after.fitness) - jax.nn.sigmoid(before.fitness)
    units = jnp.where(inserted, jnp.round(added * ONE_GAIN), 0.0).astype(jnp.int32)
    owner = emitter_of_winner[:, None] == jnp.arange(emitters)[None]
    return jnp.sum(jnp.where(owner, units[:, None], 0), axis=0, dtype=jnp.int32)


def account(
    feedback: Feedback,
    *,
    gains: Int[Array, " emitters"],
    made: Int[Array, " emitters"],
    costs: Sequence[int],
    credit: Int[Array, " capacity"],
    batch_size: int,
) -> Feedback:
    """Book one generation: add its gains and costs, and let older ones fade.

    Args:
      feedback: Feedback before the generation.
      gains: `(emitters,)` from `gains_of`.
      made: `(emitters,)` offspring of each emitter in this generation.
      costs: Counted evaluations per offspring of each emitter.
      credit: Credit after the generation, from `divide`.
      batch_size: Offspring per generation.
    """
    spent = made * jnp.asarray(costs, jnp.int32)
    lasting = max(2, HORIZON // batch_size)  # generations

    def fade(past: Array, new: Array) -> Array:
        return (past - past // lasting).at[: len(new)].add(new)

    return dataclasses.replace(
        feedback,
        evaluations=feedback.evaluations + jnp.sum(spent, dtype=jnp.int32),
        made=feedback.made.at[: len(made)].add(made),
        gain=fade(feedback.gain, gains),
        cost=fade(feedback.cost, spent),
        credit=credit,
    )


def adapt_scale(
    scale: Float[Array, " cells"],
    *,
    parent: Int[Array, " n"],
    stepped: Bool[Array, " n"],
    succeeded: Bool[Array, " n"],
    inserted: Bool[Array, " cells"],
    new_parent: Int[Array, " cells"],
    new_stepped: Bool[Array, " cells"],
) -> Float[Array, " cells"]:
    """Adapt the cells' step sizes to the successes and failures of a generation.

    A new elite from another cell brings the step size of its parent's cell along. If an emitter
    without a step size made it, the cell's step size starts anew at 1.

    Args:
      scale: Step sizes before the generation.
      parent: `(n,)` cell of each offspring's parent; a negative one counts nowhere.
      stepped: `(n,)` whether the offspring's emitter has a step size.
      succeeded: `(n,)` whether the offspring took its parent's cell.
      inserted: `(cells,)` whether each cell changed hands or was filled.
      new_parent: `(cells,)` cell of the parent of each cell's elite.
      new_stepped: `(cells,)` whether the emitter of each cell's elite has a step size.
    """
    cells = scale.shape[0]
    home = jnp.where(stepped & (parent >= 0), parent, cells)  # out of range: dropped
    wins = jnp.zeros(cells, jnp.int32).at[home].add(succeeded.astype(jnp.int32), mode="drop")
    tries = jnp.zeros(cells, jnp.int32).at[home].add(1, mode="drop")
    # At most one offspring takes a cell, so there is at most one success.
    moved = scale * jnp.where(wins > 0, FASTER, 1.0) * jnp.float32(SLOWER) ** (tries - wins)

    came = inserted & (new_parent != jnp.arange(cells))
    brought = jnp.where(new_stepped, scale[jnp.maximum(new_parent, 0)], 1.0)
    start = jnp.where(came, brought, jnp.where(inserted & ~new_stepped, 1.0, moved))
    return jnp.clip(start, LEAST_SCALE, MOST_SCALE)
