"""The division of a batch among emitters: which emitter fills which chunk."""

import dataclasses

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from qd_fool.map_elites.config import MapElitesConfig, emitter_table
from qd_fool.map_elites.feedback import divide, shares_of
from qd_fool.map_elites.state import EvolutionState


def batch_division(
    state: EvolutionState, *, config: MapElitesConfig
) -> tuple[Int[Array, " chunks"], Int[Array, " emitters"] | None]:
    """Return the emitter of each chunk of the coming batch.

    Args:
      state: The run.
      config: Settings of the run.

    Returns:
      `(chunks,)` indices of emitters, and the credit of the emitters after the batch; None where
      shares are fixed.

    Raises:
      ValueError: Shares are adaptive, and the state holds no feedback.
    """
    feedback = state.feedback
    if config.shares == "fixed":
        return jnp.asarray(emitter_table(config)), None
    if feedback is None:
        raise ValueError("adaptive shares need feedback: make the state by init(feedback=True)")
    late = jnp.asarray(config.tuning)
    joins = ~late | (state.generation >= feedback.tune_from) | jnp.all(late)
    stated = [share.share for share in config.emitters]
    shares = shares_of(feedback, stated, joins=joins)
    return divide(shares, feedback.credit, chunks=-(-config.batch_size // config.chunk))


def begin_tuning(state: EvolutionState, generation: int) -> EvolutionState:
    """Return the state in which emitters with a step size join from a generation on.

    Args:
      state: The run. A run without feedback stays as it is.
      generation: Number of the generation.
    """
    if state.feedback is None:
        return state
    tune_from = jnp.full_like(state.feedback.tune_from, generation)  # on the same devices
    feedback = dataclasses.replace(state.feedback, tune_from=tune_from)
    return dataclasses.replace(state, feedback=feedback)


def plan_tuning(
    state: EvolutionState, *, config: MapElitesConfig, generations: int
) -> EvolutionState:
    """Return the state in which tuning begins after its part of the run.

    Args:
      state: The run, on the host. If tuning has begun, it goes on.
      config: Settings of the run.
      generations: Number of generations after generation 0.
    """
    feedback, done = state.feedback, int(state.generation)
    if feedback is not None and done > 0 and int(feedback.tune_from) <= done:
        return state
    return begin_tuning(state, round(config.tune_after * generations))


def emitters_of(
    indices: Int[Array, " n"], table: Int[Array, " chunks"], *, config: MapElitesConfig
) -> Int[Array, " n"]:
    """Return the emitter of each individual; the first one for those that fill a share up.

    Args:
      indices: `(n,)` places in the batch.
      table: Emitter of each chunk, from `batch_division`.
      config: Settings of the run.
    """
    chunk = indices // config.chunk
    return jnp.where(chunk < len(table), table[jnp.minimum(chunk, len(table) - 1)], 0)


def made_by(table: Int[Array, " chunks"], *, config: MapElitesConfig) -> Int[Array, " emitters"]:
    """Count each emitter's offspring in a batch; the last chunk may be smaller.

    Args:
      table: Emitter of each chunk, from `batch_division`.
      config: Settings of the run.
    """
    emitters = len(config.emitters)
    sizes = np.full(len(table), config.chunk, np.int32)
    sizes[-1] = config.batch_size - config.chunk * (len(table) - 1)
    return jnp.zeros(emitters, jnp.int32).at[table].add(sizes)


def ranks_of(
    state: EvolutionState,
    indices: Int[Array, " n"],
    table: Int[Array, " chunks"],
    *,
    index: int,
    config: MapElitesConfig,
) -> Int[Array, " n"]:
    """Count the offspring that an emitter made before each of these, since the run began.

    Args:
      state: The run.
      indices: `(n,)` places in the batch.
      table: Emitter of each chunk, from `batch_division`.
      index: Index of the emitter.
      config: Settings of the run.
    """
    # One emitter makes whole batches.
    if len(config.emitters) == 1:
        return (state.generation - 1) * config.batch_size + indices

    # Several emitters: count the places before each in this batch.
    places = jnp.arange(config.batch_size, dtype=jnp.int32)
    emitted = emitters_of(places, table, config=config) == index
    before = jnp.cumsum(emitted, dtype=jnp.int32) - emitted
    within = before[jnp.minimum(indices, config.batch_size - 1)]

    # And the earlier generations.
    if config.shares == "adaptive" and state.feedback is not None:
        return state.feedback.made[index] + within
    each = int(np.sum(np.repeat(emitter_table(config), config.chunk)[: config.batch_size] == index))
    return (state.generation - 1) * each + within
