"""The loops that `versus.py` compares: one job for LeNet, on qd_fool, QDax and pyribs.

Each builder compiles its loop as far as possible. It returns the seconds of compilation, and a
function `(seed, pictures) -> (generations + 1, cells)` that gives the log-odds in the cells after
each generation.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qd_fool import MapElitesConfig, make_encoding
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.encodings import Encoding
from qd_fool.map_elites.generation import ask
from qd_fool.map_elites.segments import make_segment
from qd_fool.map_elites.state import init
from qd_fool.models import Scorer
from qd_fool.scoring.log_odds import evaluate

BATCH, RATE, ETA = 200, 0.1, 15.0
Run = Callable[[int, np.ndarray], np.ndarray]


def compiled(function: Any, *arguments: Any) -> tuple[Any, float]:
    """The compiled program of a jitted function, and the seconds of compilation."""
    started = time.perf_counter()
    program = function.lower(*arguments).compile()
    return program, time.perf_counter() - started


def first_pictures(scorer: Scorer, *, seed: int) -> np.ndarray:
    """Generation 0 of qd_fool's run with a seed, `(200, 784)` bytes, where the others start."""
    encoding = make_encoding("direct", scorer.image_shape)
    config = MapElitesConfig(batch_size=BATCH, chunk=scorer.chunk)
    state = init(encoding, len(scorer.class_names), seed=seed)
    make = jax.jit(partial(ask, encoding=encoding, config=config))
    return np.asarray(make(state, jnp.arange(BATCH, dtype=jnp.int32)).genomes)


def network(scorer: Scorer, generations: int) -> tuple[float, Run]:
    """The network without a search: it scores the first pictures repeatedly."""
    program, seconds = _kernel(scorer)

    def run(seed: int, pictures: np.ndarray) -> np.ndarray:
        del seed
        shaped = pictures.reshape(-1, *scorer.image_shape)
        for _ in range(generations + 1):
            odds = np.asarray(program(scorer.params, shaped))
        return odds.max(axis=0)[None]

    return seconds, run


def qd_fool(
    scorer: Scorer,
    generations: int,
    *,
    encoding: Encoding,
    config: MapElitesConfig,
    devices: int = 1,
) -> tuple[float, Run]:
    """The loop of this project."""
    mesh, cells = make_mesh(devices), len(scorer.class_names)
    segment = make_segment(scorer, encoding, config, mesh=mesh, length=generations + 1)
    params = replicate(scorer.params, mesh)
    count = np.int32(generations + 1)
    program, seconds = compiled(
        segment, replicate(init(encoding, cells, seed=0), mesh), params, count
    )

    def run(seed: int, pictures: np.ndarray) -> np.ndarray:
        del pictures  # the loop makes those of its seed itself
        _, log = program(replicate(init(encoding, cells, seed=seed), mesh), params, count)
        return np.asarray(log.fitness)

    return seconds, run


def qdax(scorer: Scorer, generations: int, *, operator: str, every: bool) -> tuple[float, Run]:
    """The loop of QDax, with centroids at the class indices and all generations in one scan.

    Args:
      scorer: Network to fool.
      generations: Generations after generation 0.
      operator: Mutation: "polynomial", QDax's own, or "iso+line", with the values of its README.
      every: Whether each picture is offered to each cell, by `ask` and `tell`. Otherwise
        `scan_update` gives a picture one descriptor, its top class.
    """
    from qdax.core.emitters.mutation_operators import isoline_variation, polynomial_mutation
    from qdax.core.emitters.standard_emitters import MixingEmitter
    from qdax.core.map_elites import MAPElites

    mutate = partial(
        polynomial_mutation, proportion_to_mutate=RATE, eta=ETA, minval=0.0, maxval=1.0
    )
    line = partial(isoline_variation, iso_sigma=0.05, line_sigma=0.1, minval=0.0, maxval=1.0)
    emitter = MixingEmitter(mutate, line, float(operator == "iso+line"), BATCH)
    centroids = jnp.arange(len(scorer.class_names), dtype=jnp.float32)[:, None]

    def search(params: Any, pictures: jax.Array, key: jax.Array) -> jax.Array:
        def odds_of(genes: jax.Array) -> jax.Array:
            shaped = jnp.round(genes * 255).astype(jnp.uint8).reshape(-1, *scorer.image_shape)
            return evaluate(scorer, params, shaped, chunk=scorer.chunk)

        def score(genes: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array, dict]:
            del key
            odds = odds_of(genes)
            return odds.max(axis=1), odds.argmax(axis=1).astype(jnp.float32)[:, None], {}

        def offered(genes: jax.Array) -> dict[str, jax.Array]:
            return {
                "genotypes": jnp.repeat(genes, len(centroids), axis=0),
                "fitnesses": odds_of(genes).ravel(),
                "descriptors": jnp.tile(centroids, (len(genes), 1)),
            }

        def update(carry: Any, _: None) -> tuple[Any, jax.Array]:
            repertoire, state, key = carry
            key, subkey = jax.random.split(key)
            genes, _ = loop.ask(repertoire, state, subkey)
            repertoire, state, held = loop.tell(
                **offered(genes), repertoire=repertoire, emitter_state=state
            )
            return (repertoire, state, key), held

        loop = MAPElites(score, emitter, lambda repertoire: repertoire.fitnesses[:, 0])
        genes = pictures.astype(jnp.float32) / 255
        if every:
            begun = loop.init_ask_tell(**offered(genes), centroids=centroids, key=key)
        else:
            begun = loop.init(genes, centroids, key)
        repertoire, state, first = begun
        _, held = jax.lax.scan(
            update if every else loop.scan_update, (repertoire, state, key), None, generations
        )
        return jnp.concatenate([first[None], held])

    pictures = np.zeros((BATCH, int(np.prod(scorer.image_shape))), np.uint8)
    program, seconds = compiled(jax.jit(search), scorer.params, pictures, jax.random.key(0))

    def run(seed: int, pictures: np.ndarray) -> np.ndarray:
        return np.asarray(program(scorer.params, pictures, jax.random.key(seed)))

    return seconds, run


def pyribs(scorer: Scorer, generations: int, *, operator: str, every: bool) -> tuple[float, Run]:
    """The loop of pyribs in Python, with ten bins of a `GridArchive`, as in its tutorial.

    Args:
      scorer: Network to fool, called from NumPy.
      generations: Generations after generation 0.
      operator: Emitter: "polynomial", qd_fool's in NumPy; "gaussian", that of the tutorial, with
        sigma 0.5 from a gray picture; or "cma-me", separable CMA-ES ranked by improvement, with
        sigma 0.2 from a gray picture.
      every: Whether each picture is offered to each cell, by `archive.add`. Otherwise it is offered
        to the cell of its top class.
    """
    from ribs.archives import GridArchive
    from ribs.emitters import EvolutionStrategyEmitter, GaussianEmitter
    from ribs.schedulers import Scheduler

    cells, size = len(scorer.class_names), int(np.prod(scorer.image_shape))
    program, seconds = _kernel(scorer)

    def odds_of(genes: np.ndarray) -> np.ndarray:
        genes = np.clip(genes, 0, 1)
        shaped = np.round(genes * 255).astype(np.uint8).reshape(-1, *scorer.image_shape)
        return np.asarray(program(scorer.params, shaped))

    def held(archive: Any) -> np.ndarray:
        found = archive.data(["index", "objective"])
        fitness = np.full(cells, -np.inf, np.float32)
        fitness[found["index"]] = found["objective"]
        return fitness

    def by_hand(archive: Any, seed: int, pictures: np.ndarray, count: int) -> list[np.ndarray]:
        rng, log = np.random.default_rng(seed), []
        genes = pictures.astype(np.float32) / 255
        for _ in range(count):
            if not archive.empty:
                genes = polynomial(rng, archive.sample_elites(BATCH)["solution"])
            odds = odds_of(genes)
            if every:
                classes = np.tile(np.arange(cells), len(genes))
                archive.add(np.repeat(genes, cells, axis=0), odds.ravel(), classes[:, None])
            else:
                archive.add(genes, odds.max(axis=1), odds.argmax(axis=1)[:, None])
            log.append(held(archive))
        return log

    def scheduled(archive: Any, seed: int, count: int) -> list[np.ndarray]:
        same: dict[str, Any] = {"x0": np.full(size, 0.5), "batch_size": BATCH, "seed": seed}
        if operator == "gaussian":
            emitter = GaussianEmitter(archive, sigma=0.5, bounds=[(0, 1)] * size, **same)
        else:
            # There are no bounds, because resampling within them never ends in 784 dimensions.
            # Genes are clipped when they are drawn.
            emitter = EvolutionStrategyEmitter(
                archive, sigma0=0.2, ranker="2imp", es="sep_cma_es", **same
            )
        scheduler, log = Scheduler(archive, [emitter]), []
        for _ in range(count):
            odds = odds_of(scheduler.ask())
            scheduler.tell(odds.max(axis=1), odds.argmax(axis=1)[:, None])
            log.append(held(archive))
        return log

    def run(seed: int, pictures: np.ndarray, count: int = generations + 1) -> np.ndarray:
        archive = GridArchive(
            solution_dim=size, dims=[cells], ranges=[(0, cells)], seed=seed, dtype=np.float32
        )
        if operator == "polynomial":
            return np.array(by_hand(archive, seed, pictures, count))
        return np.array(scheduled(archive, seed, count))

    # The first call makes numba compile parts of the library.
    started = time.perf_counter()
    run(0, first_pictures(scorer, seed=0), 3)
    return seconds + time.perf_counter() - started, run


def polynomial(rng: np.random.Generator, genes: np.ndarray) -> np.ndarray:
    """Polynomial mutation as in qd_fool, in NumPy: each gene in [0, 1] with probability 0.1."""
    genes = genes.copy()
    chosen = rng.random(genes.shape, np.float32) < RATE
    count = int(chosen.sum())
    step = 1 - rng.random(count, np.float32) ** np.float32(1 / (ETA + 1))
    genes[chosen] += np.where(rng.random(count, np.float32) < 0.5, step, -step)
    return np.clip(genes, 0, 1)


def _kernel(scorer: Scorer) -> tuple[Any, float]:
    """The compiled network on a batch of 8-bit pictures, which every loop uses to score."""

    def odds(params: Any, pictures: jax.Array) -> jax.Array:
        return evaluate(scorer, params, pictures, chunk=scorer.chunk)

    pictures = np.zeros((BATCH, *scorer.image_shape), np.uint8)
    return compiled(jax.jit(odds), scorer.params, pictures)
