"""One generation of MAP-Elites with one cell per class: ask, improve, score, tell.

Source: paper, section 2.2; sferes/modules/map_elite/map_elite.hpp of the original code: parents are
drawn uniformly over the cells, and each offspring is offered to each cell.

Everything here is a pure function. `step` is the four functions in their order, and a loop that
calls them one by one gives the same bits. `segments` compiles many steps over a mesh of devices;
`commands.evolve.run` adds the clock and the files.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8

from qd_fool.archive import Offspring
from qd_fool.devices.chunks import map_chunks
from qd_fool.encodings import Encoding
from qd_fool.encodings.base import genome_bytes
from qd_fool.encodings.randomness import run_key
from qd_fool.map_elites.config import MapElitesConfig, build_emitters
from qd_fool.map_elites.division import batch_division, emitters_of, ranks_of
from qd_fool.map_elites.generation_end import tell
from qd_fool.map_elites.state import EvolutionState, GenerationLog, batch_indices
from qd_fool.models.network import Network
from qd_fool.scoring.crops import check_crops, seen_window
from qd_fool.scoring.log_odds import log_odds

LARGE = 2**14
"""Bytes of a genome from which on offspring are made a chunk at a time: the random words of a chunk
stay in a processor's cache, which takes half the time of a whole batch of pixels."""


def step(
    state: EvolutionState,
    params: PyTree[Array],
    *,
    scorer: Network,
    encoding: Encoding,
    config: MapElitesConfig,
    devices: int = 1,
    axis: str | None = None,
    log_offspring: bool = False,
) -> tuple[EvolutionState, GenerationLog]:
    """Run one generation; under `shard_map`, this device's share of the generation.

    The batch is cut into whole chunks, and each device gets equally many of them. Individuals that
    never compete fill the last chunks up. The state is the same on all devices.

    Args:
      state: The run.
      params: The network's parameters.
      scorer: The network's facts. They are static, and so are all arguments that follow.
      encoding: Encoding of the genomes.
      config: Settings of the run.
      devices: Number of devices in the mesh.
      axis: Name of the mesh's axis; None for a plain call, which may be `vmap`ped (over seeds, or
        networks).
      log_offspring: Whether the log holds the offspring that competed, with their genomes.

    Returns:
      The run after the generation, and the generation's row of the log.
    """
    # The individuals of the batch that this device makes: whole chunks, in order.
    per_device = -(-config.batch_size // (config.chunk * devices)) * config.chunk
    start = jax.lax.axis_index(axis) * per_device if axis else 0
    indices = start + jnp.arange(per_device, dtype=jnp.int32)

    offspring = ask(state, indices, encoding=encoding, config=config)
    offspring = improve(state, offspring, params, scorer=scorer, encoding=encoding, config=config)
    scores = score(offspring, params, scorer=scorer, encoding=encoding, config=config)
    return tell(
        state,
        offspring,
        scores,
        encoding=encoding,
        config=config,
        axis=axis,
        log_offspring=log_offspring,
    )


def ask(
    state: EvolutionState,
    indices: Int[Array, " n"] | None = None,
    *,
    encoding: Encoding,
    config: MapElitesConfig,
) -> Offspring:
    """Make the individuals of the coming generation.

    Generation 0 consists of random individuals, all others of offspring of elites. An emitter that
    improves offspring with the network returns copies of the parents here; `improve` moves them.

    Args:
      state: The run.
      indices: `(n,)` individuals of the batch to make; the whole batch by default. If several
        emitters share the batch, these must be whole chunks in order: a chunk has one emitter.
      encoding: Encoding of the genomes.
      config: Settings of the run.
    """
    if indices is None:
        indices = jnp.arange(config.batch_size, dtype=jnp.int32)
    archive = state.archive
    ids = state.generation * config.batch_size + indices.astype(jnp.int32)
    emitters = build_emitters(config, encoding)
    table, _ = batch_division(state, config=config)

    # One key chooses the parents, the other makes the genome.
    keys = jax.vmap(lambda key: jax.random.split(key, 2))(_individual_keys(state, indices))

    def born_randomly() -> tuple[PyTree[Array], Array, Array]:
        none = jnp.full_like(ids, -1)
        return encoding.init(keys[:, 1]), none, none

    # Offspring of one emitter: draw pairs of cells, and let the emitter combine their genomes.
    def born_of(index: int) -> Callable[[Array, Array], tuple[PyTree[Array], Array, Array]]:
        def born(keys: Key[Array, "n 2"], indices: Array) -> tuple[PyTree[Array], Array, Array]:
            emitter = emitters[index]
            rank = ranks_of(state, indices, table, index=index, config=config)
            cells = emitter.choose(keys[:, 0], archive, rank)
            parents = jax.tree.map(lambda a: a[cells[:, 0]], archive.genomes)
            mates = jax.tree.map(lambda a: a[cells[:, 1]], archive.genomes)
            steps = () if emitter.step is None else (_steps(state, cells[:, 0], emitter.step),)
            genomes = emitter.emit(keys[:, 1], parents, mates, state.generation, *steps)
            return genomes, archive.id[cells[:, 0]], cells[:, 0]

        return born

    # Offspring of all emitters: each chunk is made by the emitter that owns it.
    def born_of_elites() -> tuple[PyTree[Array], Array, Array]:
        if len(emitters) == 1 and genome_bytes(encoding) < LARGE:
            return born_of(0)(keys, indices)

        def born_in_chunk(part: tuple[Array, Array]) -> tuple[PyTree[Array], Array, Array]:
            if len(emitters) == 1:
                return born_of(0)(*part)
            emitter = emitters_of(part[1], table, config=config)[0]
            return jax.lax.switch(emitter, [born_of(i) for i in range(len(emitters))], *part)

        return map_chunks(born_in_chunk, (keys, indices), chunk=config.chunk)

    # One program for random individuals and for offspring, so that a run compiles once.
    genomes, parent_id, parent_class = jax.lax.cond(
        state.generation == 0, born_randomly, born_of_elites
    )
    return Offspring(genomes, ids, parent_id, parent_class)


def improve(
    state: EvolutionState,
    offspring: Offspring,
    params: PyTree[Array],
    *,
    scorer: Network,
    encoding: Encoding,
    config: MapElitesConfig,
) -> Offspring:
    """Let the emitters that use the network's gradient improve their offspring.

    Offspring of other emitters, and the random individuals of generation 0, stay as they are.

    Args:
      state: The run, as it was given to `ask`.
      offspring: `(n, ...)`, from `ask`.
      params: The network's parameters.
      scorer: The network's facts.
      encoding: Encoding of the genomes.
      config: Settings of the run.
    """
    emitters = build_emitters(config, encoding, scorer=scorer)
    if not any(emitter.improve for emitter in emitters):
        return offspring

    def stay(genomes: PyTree[Array], classes: Int[Array, " chunk"]) -> PyTree[Array]:
        del classes
        return genomes

    table, _ = batch_division(state, config=config)

    # Branch 0 leaves a chunk as it is; branch i + 1 is emitter i.
    branches = [stay]
    for emitter in emitters:
        branches.append(partial(emitter.improve, params) if emitter.improve else stay)

    def improve_chunk(part: tuple[PyTree[Array], Array, Array]) -> PyTree[Array]:
        genomes, classes, indices = part
        branch = emitters_of(indices, table, config=config)[0] + 1
        branch = jnp.where(state.generation == 0, 0, branch)
        return jax.lax.switch(branch, branches, genomes, classes)

    indices = batch_indices(state, offspring, batch_size=config.batch_size)
    part = (offspring.genomes, offspring.parent_class, indices)
    return dataclasses.replace(
        offspring, genomes=map_chunks(improve_chunk, part, chunk=config.chunk)
    )


def score(
    offspring: Offspring,
    params: PyTree[Array],
    *,
    scorer: Network,
    encoding: Encoding,
    config: MapElitesConfig,
) -> Float[Array, "n cells"]:
    """Draw the offspring and show them to the network, a chunk at a time.

    Args:
      offspring: `(n, ...)`.
      params: The network's parameters.
      scorer: The network's facts.
      encoding: Encoding of the genomes.
      config: Settings of the run.

    Returns:
      `(n, cells)` log-odds of every class.
    """
    # With one crop, nothing outside its place is drawn.
    check_crops(scorer, encoding.image_shape, crops=config.crops)
    window = seen_window(scorer, encoding.image_shape, crops=config.crops)

    def draw(genomes: PyTree[Array]) -> UInt8[Array, "chunk rows columns channels"]:
        if window and encoding.render_window:
            return encoding.render_window(genomes, window)
        return encoding.render(genomes)

    def score_chunk(genomes: PyTree[Array]) -> Float[Array, "chunk cells"]:
        return log_odds(scorer, params, draw(genomes), crops=config.crops)

    return map_chunks(score_chunk, offspring.genomes, chunk=config.chunk)


def _individual_keys(state: EvolutionState, indices: Int[Array, " n"]) -> Key[Array, " n"]:
    """Return fold_in(fold_in(seed, generation), index), equal for any number of devices."""
    generation_key = jax.random.fold_in(run_key(state.seed), state.generation)
    return jax.vmap(jax.random.fold_in, (None, 0))(generation_key, indices)


def _steps(state: EvolutionState, cells: Int[Array, " n"], step: float) -> Float[Array, " n"]:
    """Return the step size of offspring whose parents are in these cells."""
    if state.feedback is None:
        raise ValueError("an emitter with a step size needs settings that derive OperatorSettings")
    return step * state.feedback.scale[cells]
