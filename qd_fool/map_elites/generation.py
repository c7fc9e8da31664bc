"""MAP-Elites with one cell a class: ask, render, score, tell, as one compiled function.

Source: paper, section 2.2; sferes/modules/map_elite/map_elite.hpp of the original code: parents
uniform over the cells, each offspring offered to each cell.

Everything here is pure: a generation is `step`, or `ask` and `tell` with one's own scores between.
`segments` scans generations over a mesh of devices; `commands.evolve.run` reads clock and files.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key, PyTree

from qd_fool.archive import (
    Offspring,
    competing_fitness,
    insert,
    shortlist,
    statistics,
)
from qd_fool.devices.chunks import map_chunks
from qd_fool.devices.collectives import all_gather_packed
from qd_fool.emitters.base import Emitter
from qd_fool.encodings import Encoding
from qd_fool.encodings.randomness import run_key
from qd_fool.map_elites.config import MapElitesConfig, build_emitters, emitter_table
from qd_fool.map_elites.state import EvolutionState, GenerationLog
from qd_fool.models import Scorer
from qd_fool.scoring.log_odds import log_odds


def _individual_keys(state: EvolutionState, indices: Int[Array, " n"]) -> Key[Array, " n"]:
    """fold_in(fold_in(seed, generation), index): the same for any number of devices."""
    generation_key = jax.random.fold_in(run_key(state.seed), state.generation)
    return jax.vmap(jax.random.fold_in, (None, 0))(generation_key, indices)


def ask(
    state: EvolutionState,
    indices: Int[Array, " n"],
    *,
    encoding: Encoding,
    config: MapElitesConfig,
) -> Offspring:
    """Make individuals `indices` of the coming generation: random ones first, then offspring.

    Args:
      state: the run.
      indices: `(n,)` which of the batch to make; the whole is `arange(batch_size)`.
      encoding: how genomes vary.
      config: for the batch size, from which ids follow, and the emitters. What an emitter improves
        by the network's gradient is its parent here: that part is of `step`.
    """
    archive = state.archive
    keys = jax.vmap(lambda key: jax.random.split(key, 2))(_individual_keys(state, indices))
    ids = state.generation * config.batch_size + indices.astype(jnp.int32)
    emitters = build_emitters(config, encoding)

    def born_randomly() -> tuple[PyTree[Array], Array, Array]:
        none = jnp.full_like(ids, -1)
        return encoding.init(keys[:, 1]), none, none

    def born_of(index: int) -> Callable[[Array, Array], tuple[PyTree[Array], Array, Array]]:
        def born(keys: Key[Array, "n 2"], indices: Array) -> tuple[PyTree[Array], Array, Array]:
            emitter = emitters[index]
            rank = _rank(state, indices, index=index, config=config)
            cells = emitter.choose(keys[:, 0], archive, rank)
            parents = jax.tree.map(lambda a: a[cells[:, 0]], archive.genomes)
            mates = jax.tree.map(lambda a: a[cells[:, 1]], archive.genomes)
            genomes = emitter.emit(keys[:, 1], parents, mates, state.generation)
            return genomes, archive.id[cells[:, 0]], cells[:, 0]

        return born

    def born_of_elites() -> tuple[PyTree[Array], Array, Array]:
        if len(emitters) == 1:
            return born_of(0)(keys, indices)

        def of_chunk(part: tuple[Array, Array]) -> tuple[PyTree[Array], Array, Array]:
            which = _emitter_of_chunk(part[1], config=config)
            return jax.lax.switch(which, [born_of(i) for i in range(len(emitters))], *part)

        return map_chunks(of_chunk, (keys, indices), chunk=config.chunk)

    # One program for both, so that a run compiles once.
    genomes, parent_id, parent_class = jax.lax.cond(
        state.generation == 0, born_randomly, born_of_elites
    )
    return Offspring(genomes, ids, parent_id, parent_class)


def _emitter_of_chunk(indices: Int[Array, " chunk"], *, config: MapElitesConfig) -> Int[Array, ""]:
    """Which emitter a chunk of individuals is of; what fills a device's share up, the first's."""
    table = jnp.asarray(emitter_table(config))
    chunk = indices[0] // config.chunk
    return jnp.where(chunk < len(table), table[jnp.minimum(chunk, len(table) - 1)], 0)


def _rank(
    state: EvolutionState, indices: Int[Array, " n"], *, index: int, config: MapElitesConfig
) -> Int[Array, " n"]:
    """How many offspring an emitter made before each of these, since the run began."""
    if len(config.emitters) == 1:
        return (state.generation - 1) * config.batch_size + indices
    mine = np.repeat(emitter_table(config), config.chunk)[: config.batch_size] == index
    before = jnp.asarray(np.cumsum(mine) - mine, jnp.int32)
    within = before[jnp.minimum(indices, config.batch_size - 1)]
    return (state.generation - 1) * int(mine.sum()) + within


def tell(
    state: EvolutionState,
    offspring: Offspring,
    *,
    fitness: Float[Array, "n cells"],
    bad: Bool[Array, ""] | bool = False,
    refused: Int[Array, ""] | int = 0,
    log_offspring: bool = False,
) -> tuple[EvolutionState, GenerationLog]:
    """Let scored individuals compete, and go on to the next generation.

    Args:
      state: the run, as it was when they were asked for.
      offspring: `(n, ...)`.
      fitness: `(n, cells)` bids, from `archive.competing_fitness`.
      bad: whether any score was NaN or infinite.
      refused: changes that were refused when the offspring were made.
      log_offspring: put them into the log, genomes and all.
    """
    before = state.archive
    archive, inserted = insert(before, offspring, fitness=fitness, generation=state.generation)
    replacements = state.replacements + jnp.sum(inserted & before.occupied, dtype=jnp.int32)
    refused = state.refused + jnp.asarray(refused, jnp.int32)
    first_bad = jnp.where(bad & (state.bad_generation < 0), state.generation, state.bad_generation)
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
        offspring=_competitors(offspring, fitness) if log_offspring else None,
    )
    after = EvolutionState(
        archive, state.seed, state.generation + 1, replacements, first_bad, refused
    )
    return after, log


def _competitors(offspring: Offspring, fitness: Float[Array, "n cells"]) -> Offspring:
    """Offspring, with id -1 for those that bid for nothing."""
    bids = jnp.any(fitness > -jnp.inf, axis=1)
    return dataclasses.replace(offspring, id=jnp.where(bids, offspring.id, -1))


def step(
    state: EvolutionState,
    params: PyTree[Array],
    *,
    scorer: Scorer,
    encoding: Encoding,
    config: MapElitesConfig,
    devices: int = 1,
    axis: str | None = None,
    log_offspring: bool = False,
) -> tuple[EvolutionState, GenerationLog]:
    """One generation. Under `shard_map`, this device's share of it.

    The batch is cut into whole chunks, and devices get equally many of them; what that leaves over
    is filled with individuals that never compete. The state is the same on all devices.

    Args:
      state: the run.
      params: the network's parameters.
      scorer: the network's facts; static, as are all that follow.
      encoding: of the genomes.
      config: of the run.
      devices: in the mesh.
      axis: its name; None for a plain call, which may be `vmap`ped (over seeds, or networks).
      log_offspring: put those that competed into the log, genomes and all.
    """
    per_device = -(-config.batch_size // (config.chunk * devices)) * config.chunk
    start = jax.lax.axis_index(axis) * per_device if axis else 0
    indices = start + jnp.arange(per_device, dtype=jnp.int32)
    valid = indices < config.batch_size
    offspring = ask(state, indices, encoding=encoding, config=config)

    emitters = build_emitters(config, encoding, scorer=scorer)

    def stay(genomes: PyTree[Array], classes: Int[Array, " chunk"]) -> PyTree[Array]:
        del classes
        return genomes

    def improvement(emitter: Emitter) -> Callable[[PyTree[Array], Array], PyTree[Array]]:
        return partial(emitter.improve, params) if emitter.improve else stay

    def score(genomes: PyTree[Array]) -> Float[Array, "chunk cells"]:
        return log_odds(scorer, params, encoding.render(genomes), crops=config.crops)

    def improve_and_score(part: tuple[PyTree[Array], Array, Array]) -> tuple[PyTree[Array], Array]:
        genomes, classes, indices = part
        which = _emitter_of_chunk(indices, config=config) + 1
        which = jnp.where(state.generation == 0, 0, which)
        branches = [stay, *map(improvement, emitters)]
        genomes = jax.lax.switch(which, branches, genomes, classes)
        return genomes, score(genomes)

    if any(emitter.improve for emitter in emitters):
        part = (offspring.genomes, offspring.parent_class, indices)
        genomes, scores = map_chunks(improve_and_score, part, chunk=config.chunk)
        offspring = dataclasses.replace(offspring, genomes=genomes)
    else:
        scores = map_chunks(score, offspring.genomes, chunk=config.chunk)
    bad = jnp.any(valid[:, None] & ~jnp.isfinite(scores))
    bids = competing_fitness(scores, rule=config.archive_rule)
    bids = jnp.where(valid[:, None], bids, -jnp.inf)
    refused = jnp.int32(0)
    if encoding.refusals is not None:
        refusals = encoding.refusals(offspring.genomes).astype(jnp.int32)
        refused = jnp.sum(jnp.where(valid, refusals, 0), dtype=jnp.int32)
    if axis:
        cells = bids.shape[1]
        if per_device > cells:
            keep = shortlist(bids)
            offspring, bids = jax.tree.map(lambda a: a[keep], (offspring, bids))
        flags = jnp.broadcast_to(bad, bids.shape[:1])
        counts = jnp.where(jnp.arange(len(flags)) == 0, refused, 0)
        offspring, bids, flags, counts = all_gather_packed((offspring, bids, flags, counts), axis)
        bad, refused = jnp.any(flags), jnp.sum(counts, dtype=jnp.int32)
    return tell(
        state,
        offspring,
        fitness=bids,
        bad=bad,
        refused=refused,
        log_offspring=log_offspring,
    )
