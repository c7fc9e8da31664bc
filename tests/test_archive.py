"""ClassArchive against a plain Python loop that offers a batch one by one."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import assert_equal

from qd_fool.archive import (
    Offspring,
    best_bids,
    best_of_shares,
    competing_fitness,
    empty_archive,
    insert,
    shortlist,
    statistics,
)

GENES = 3


def make_batch(rng: np.random.Generator, batch: int, cells: int, generation: int):
    """Random bids with many ties, some NaN, infinities and saturated values."""
    fitness = rng.integers(-4, 5, (batch, cells)).astype(np.float32)
    odd = rng.random((batch, cells))
    fitness[odd < 0.05] = np.nan
    fitness[(odd >= 0.05) & (odd < 0.08)] = np.inf
    fitness[(odd >= 0.08) & (odd < 0.11)] = -np.inf
    fitness[(odd >= 0.11) & (odd < 0.16)] = 88.0  # where float32 confidence has long been 1
    ids = generation * batch + np.arange(batch, dtype=np.int32)
    return (
        Offspring(
            genomes=rng.integers(0, 256, (batch, GENES)).astype(np.uint8),
            id=ids,
            parent_id=rng.integers(0, 99, batch).astype(np.int32),
            parent_class=rng.integers(0, cells, batch).astype(np.int32),
        ),
        fitness,
    )


def offer_one_by_one(cells: dict, offspring: Offspring, fitness: np.ndarray, rule: str, born: int):
    """The oracle: map_elite.hpp's loop, in plain Python."""
    replaced = set()
    for i in range(len(fitness)):
        bids = [float(x) for x in fitness[i]]
        usable = [k for k, x in enumerate(bids) if math.isfinite(x)]
        if rule == "argmax" and usable:
            usable = [max(usable, key=lambda k: bids[k])]  # max takes the first of equals
        for k in usable:
            if k not in cells or bids[k] > cells[k][0]:
                replaced.add(k)
                cells[k] = (
                    bids[k],
                    tuple(np.asarray(offspring.genomes)[i]),
                    int(offspring.id[i]),
                    int(offspring.parent_id[i]),
                    int(offspring.parent_class[i]),
                    born,
                )
    return replaced


@functools.partial(jax.jit, static_argnames="rule")
def step(archive, offspring, fitness, generation, rule):
    bids = competing_fitness(fitness, rule=rule)
    return insert(archive, offspring, best=best_bids(bids), generation=generation)


@pytest.mark.parametrize("rule", ["all", "argmax"])
@pytest.mark.parametrize("cells", [2, 10, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_insert_equals_offering_one_by_one(cells, rule, seed):
    rng = np.random.default_rng(seed)
    shape = jax.ShapeDtypeStruct((GENES,), jnp.uint8)
    archive = empty_archive(shape, cells)
    oracle: dict = {}
    for generation in range(5):
        offspring, fitness = make_batch(rng, 24, cells, generation)
        archive, changed = jax.device_get(
            step(archive, offspring, fitness, np.int32(generation), rule)
        )
        replaced = offer_one_by_one(oracle, offspring, fitness, rule, generation)
        assert set(np.flatnonzero(changed)) == replaced
        assert set(np.flatnonzero(archive.occupied)) == set(oracle)
        for k, (score, genome, *rest) in oracle.items():
            assert float(archive.fitness[k]) == score
            assert tuple(np.asarray(archive.genomes)[k]) == genome
            fields = (archive.id, archive.parent_id, archive.parent_class, archive.born)
            assert [int(f[k]) for f in fields] == rest


@pytest.mark.parametrize("cells", [2, 10])
def test_shortlist_keeps_every_first_best(cells):
    rng = np.random.default_rng(0)
    offspring, fitness = make_batch(rng, 64, cells, 0)
    bids = competing_fitness(jnp.asarray(fitness))
    keep, best = jax.jit(lambda bids: shortlist(best_bids(bids)))(bids)
    assert_equal(best, best_bids(bids[keep]))
    keep = np.asarray(keep)
    few = jax.tree.map(lambda a: a[keep], offspring)
    archive = empty_archive(jax.ShapeDtypeStruct((GENES,), jnp.uint8), cells)
    whole, _ = step(archive, offspring, fitness, np.int32(0), "all")
    short, _ = step(archive, few, fitness[keep], np.int32(0), "all")
    assert_equal(whole, short)


@pytest.mark.parametrize("shares", [1, 2, 8])
def test_the_best_bids_of_a_batch_from_those_of_its_shares(shares):
    _, fitness = make_batch(np.random.default_rng(1), 64, 20, 0)
    bids = competing_fitness(jnp.asarray(fitness))
    each = jax.vmap(best_bids)(bids.reshape(shares, 64 // shares, 20))
    assert_equal(best_of_shares(each, size=64 // shares), best_bids(bids))


def test_statistics_of_a_known_archive():
    confidence = np.array([0.5, 0.99, 0.9999, 0.2], np.float64)
    archive = empty_archive(jax.ShapeDtypeStruct((GENES,), jnp.uint8), 5)
    fitness = np.append(np.log(confidence / (1 - confidence)), -np.inf)
    fitness[1] = np.log(np.float32(99.0))
    archive = archive.replace(
        fitness=jnp.asarray(fitness, jnp.float32), id=jnp.asarray([4, 7, 4, 9, -1], jnp.int32)
    )
    stats = jax.jit(statistics)(archive)
    np.testing.assert_allclose(stats.median_confidence, 0.5, rtol=1e-6)
    np.testing.assert_allclose(stats.mean_confidence, np.append(confidence, 0).mean(), rtol=1e-6)
    assert float(stats.min_confidence) == 0.0
    np.testing.assert_allclose(stats.max_confidence, 0.9999, rtol=1e-6)
    assert (int(stats.cells_over_99), int(stats.occupied), int(stats.distinct)) == (2, 4, 3)


def test_an_empty_archive_counts_nothing():
    stats = statistics(empty_archive(jax.ShapeDtypeStruct((GENES,), jnp.uint8), 3))
    assert (int(stats.occupied), int(stats.distinct), float(stats.median_confidence)) == (0, 0, 0.0)
