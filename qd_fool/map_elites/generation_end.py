"""The end of a generation: scored individuals compete for the cells."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from qd_fool.archive import (
    BestBids,
    ClassArchive,
    Offspring,
    best_bids,
    best_of_shares,
    competing_fitness,
    insert,
    shortlist,
    statistics,
)
from qd_fool.devices.collectives import all_gather_packed
from qd_fool.encodings import Encoding
from qd_fool.map_elites.config import MapElitesConfig, build_emitters
from qd_fool.map_elites.division import batch_division, emitters_of, made_by
from qd_fool.map_elites.feedback import ONE_GAIN, Feedback, account, adapt_scale, gains_of
from qd_fool.map_elites.state import EmitterLog, EvolutionState, GenerationLog, batch_indices
from qd_fool.scoring.bad import is_bad


def tell(
    state: EvolutionState,
    offspring: Offspring,
    scores: Float[Array | np.ndarray, "n cells"],
    *,
    encoding: Encoding,
    config: MapElitesConfig,
    axis: str | None = None,
    log_offspring: bool = False,
) -> tuple[EvolutionState, GenerationLog]:
    """Let scored individuals compete for the cells, and move to the next generation.

    Args:
      state: The run, as it was given to `ask`.
      offspring: `(n, ...)`.
      scores: `(n, cells)` log-odds, from `score` or from a user's own network. NaN and infinities
        never compete; the state remembers the first generation in which there were any.
      encoding: Encoding of the genomes.
      config: Settings of the run.
      axis: Name of the mesh's axis where each device has scored its share; else None.
      log_offspring: Whether the log holds the offspring that competed, with their genomes.

    Returns:
      The run after the generation, and the generation's row of the log.
    """
    scores = jnp.asarray(scores)

    # Each individual's bid for each cell. Individuals that only fill a chunk up bid nothing.
    competes = batch_indices(state, offspring, batch_size=config.batch_size) < config.batch_size
    bids = competing_fitness(scores, rule=config.archive_rule)
    bids = jnp.where(competes[:, None], bids, -jnp.inf)

    # Facts of the batch as a whole: whether any score was bad, and how many mutations were skipped.
    bad = jnp.any(competes[:, None] & is_bad(scores))
    refused = jnp.int32(0)
    if encoding.refusals is not None:
        refusals = encoding.refusals(offspring.genomes).astype(jnp.int32)
        refused = jnp.sum(jnp.where(competes, refusals, 0), dtype=jnp.int32)

    # Gather the shares of all devices. From here on, all devices compute the same.
    parents = _parents(offspring, competes, axis=axis) if state.feedback else None
    best = best_bids(bids)
    bids_at_all = jnp.any(bids > -jnp.inf, axis=1) if log_offspring else None
    if axis:
        offspring, best, bad, refused, bids_at_all = _gather(
            offspring, best, bad, refused, bids_at_all, axis=axis
        )

    # The competition: the best bid for each cell replaces the elite, if it is better.
    before = state.archive
    archive, inserted = insert(before, offspring, best=best, generation=state.generation)

    # What the offspring tell about their emitters.
    feedback, emitters = None, None
    if parents is not None:
        feedback, emitters = _learn(
            state, archive, inserted, parents, encoding=encoding, config=config
        )

    # The next state.
    replacements = state.replacements + jnp.sum(inserted & before.occupied, dtype=jnp.int32)
    refused = state.refused + refused
    first_bad = jnp.where(bad & (state.bad_generation < 0), state.generation, state.bad_generation)
    after = EvolutionState(
        archive, state.seed, state.generation + 1, replacements, first_bad, refused, feedback
    )

    log = GenerationLog(
        generation=state.generation,
        statistics=statistics(archive),
        replacements=replacements,
        refused=refused,
        inserted=inserted,
        id=archive.id,
        parent_id=archive.parent_id,
        parent_class=archive.parent_class,
        fitness=archive.fitness,
        emitters=emitters,
        offspring=None if bids_at_all is None else _competitors(offspring, bids_at_all),
    )
    return after, log


def _gather(
    offspring: Offspring,
    best: BestBids,
    bad: Bool[Array, ""],
    refused: Int[Array, ""],
    bids_at_all: Bool[Array, " n"] | None,
    *,
    axis: str,
) -> tuple[Offspring, BestBids, Bool[Array, ""], Int[Array, ""], Bool[Array, " all"] | None]:
    """Join the devices' offspring in order, their best bids, and the facts of the whole batch."""
    # If there are fewer cells than individuals, send only the individuals that could win a cell.
    cells = best.index.shape[0]
    if offspring.id.shape[0] > cells:
        keep, best = shortlist(best)
        offspring, bids_at_all = jax.tree.map(lambda a: a[keep], (offspring, bids_at_all))
    size = offspring.id.shape[0]

    # All in one message. Of the bids, a device sends its best for each cell.
    offspring, best, bad, refused, bids_at_all = all_gather_packed(
        (offspring, best, bad[None], refused[None], bids_at_all), axis
    )
    best = best_of_shares(jax.tree.map(lambda a: a.reshape(-1, cells), best), size=size)
    return offspring, best, jnp.any(bad), jnp.sum(refused, dtype=jnp.int32), bids_at_all


def _parents(
    offspring: Offspring, competes: Bool[Array, " n"], *, axis: str | None
) -> tuple[Int[Array, " all"], Int[Array, " all"]]:
    """Return the id and the parent's cell of each individual, of all devices; -1 for no parent."""
    facts = offspring.id, jnp.where(competes, offspring.parent_class, -1)
    return all_gather_packed(facts, axis) if axis else facts


def _learn(
    state: EvolutionState,
    archive: ClassArchive,
    inserted: Bool[Array, " cells"],
    parents: tuple[Int[Array, " n"], Int[Array, " n"]],
    *,
    encoding: Encoding,
    config: MapElitesConfig,
) -> tuple[Feedback, EmitterLog]:
    """Return the feedback after a generation, and the emitters' row of the log."""
    feedback = state.feedback
    if feedback is None:
        raise ValueError("a state without feedback learns nothing")
    emitters = build_emitters(config, encoding)
    table, credit = batch_division(state, config=config)
    first_id = state.generation * config.batch_size

    # Gain of each emitter. Elites of before the generation have other ids: they added nothing.
    winner = emitters_of(archive.id - first_id, table, config=config)
    gains = gains_of(state.archive, archive, inserted, winner, emitters=len(emitters))
    made = made_by(table, config=config)
    after = account(
        feedback,
        gains=gains,
        made=made,
        costs=[emitter.evaluations for emitter in emitters],
        credit=feedback.credit if credit is None else credit,
        batch_size=config.batch_size,
    )

    # Step sizes. An offspring succeeds if it takes the cell of its parent.
    steps = jnp.asarray(config.tuning)
    ids, cells = parents
    after = dataclasses.replace(
        after,
        scale=adapt_scale(
            feedback.scale,
            parent=cells,
            stepped=steps[emitters_of(ids - first_id, table, config=config)],
            succeeded=inserted[cells] & (archive.id[cells] == ids),
            inserted=inserted,
            new_parent=archive.parent_class,
            new_stepped=steps[winner],
        ),
    )

    # The random individuals of generation 0 belong to no emitter.
    first = dataclasses.replace(feedback, evaluations=feedback.evaluations + config.batch_size)
    after = jax.tree.map(lambda a, b: jnp.where(state.generation == 0, a, b), first, after)
    made, gains = (jnp.where(state.generation == 0, 0, a) for a in (made, gains))
    return after, EmitterLog(after.evaluations, made, gains.astype(jnp.float32) / ONE_GAIN)


def _competitors(offspring: Offspring, bids_at_all: Bool[Array, " n"]) -> Offspring:
    """Return the offspring, with id -1 for individuals that bid for no cell."""
    return dataclasses.replace(offspring, id=jnp.where(bids_at_all, offspring.id, -1))
