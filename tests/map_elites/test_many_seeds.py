"""Many evolutions at once: the bits of single runs, on any devices, in one compiled program."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import SIZE, assert_equal, linear_scorer, run, tiny

import qd_fool
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.emitters.gradient import GradientSettings
from qd_fool.emitters.shares import Share
from qd_fool.emitters.variation import VariationSettings
from qd_fool.map_elites.config import MapElitesConfig
from qd_fool.map_elites.many_seeds import make_seed_evolution
from qd_fool.scoring.confidence import confidence_of

SEEDS = np.array([5, 3, 2**32 - 1, 8], np.uint32)


def evolve(scorer, encoding, config, *, devices=1, at_once=1, seeds=SEEDS, generations=5):
    mesh = make_mesh(devices)
    evolve_seeds = make_seed_evolution(
        scorer, encoding, config, generations=generations, mesh=mesh, at_once=at_once
    )
    return evolve_seeds(replicate(scorer.params, mesh), seeds)


@pytest.fixture(scope="module")
def setting():
    """Half by gradient, as retraining has it."""
    shares = (
        Share("variation", 1.0, VariationSettings()),
        Share("gradient", 1.0, GradientSettings(steps=2, rate=4.0)),
    )
    return tiny(batch_size=18, emitters=shares)  # as emitters/test_contract.py has it


@pytest.fixture(scope="module")
def together(setting):
    return evolve(*setting)


def test_each_seed_has_the_bits_of_a_run_of_its_own(setting, together):
    scorer, encoding, config = setting
    for i, seed in ((0, SEEDS[0]), (2, SEEDS[2])):
        alone, log = run(scorer, encoding, config, cut=(6,), seed=int(seed))
        for name in ("archive", "seed", "replacements", "bad_generation", "refused"):
            computed = getattr(together.state, name)
            assert_equal(pick(computed, i), getattr(alone, name))
        images = encoding.render(jnp.asarray(alone.archive.genomes))
        np.testing.assert_array_equal(together.images[i], images)
        over = log.fitness >= np.log(99)
        reached = np.where(over.any(axis=0), over.argmax(axis=0), -1)
        np.testing.assert_array_equal(together.reached[i], reached)
    assert int(together.state.generation[0]) == 6


def pick(tree, i):
    return jax.tree.map(lambda a: np.asarray(a)[i], tree)


def test_devices_do_not_change_results(setting, together):
    assert_equal(evolve(*setting, devices=4), together)


def test_side_by_side_is_the_same_but_for_rounding(setting, together):
    scorer, encoding, _ = setting
    simple = MapElitesConfig(batch_size=4, chunk=4)
    one, two = (evolve(scorer, encoding, simple, at_once=n) for n in (1, 2))
    confidence = [confidence_of(runs.state.archive.fitness) for runs in (one, two)]
    np.testing.assert_allclose(*confidence, atol=1e-3)
    assert one.images.shape == two.images.shape == (4, 5, SIZE, SIZE, 1)


@pytest.mark.long
def test_graphs_too():
    scorer = linear_scorer()
    encoding = qd_fool.make_encoding("cppn", scorer.image_shape, max_nodes=8, max_edges=12)
    config = MapElitesConfig(batch_size=4, chunk=4)
    runs = evolve(scorer, encoding, config, devices=2, generations=4, seeds=SEEDS[[0, 1, 0, 1]])
    assert_equal(pick(runs.state, 0), pick(runs.state, 2))
    assert not np.array_equal(runs.images[0], runs.images[1])
    images = encoding.render(pick(runs.state, 1).archive.genomes)
    np.testing.assert_array_equal(runs.images[1], images)


def test_one_program_for_all_networks():
    traces = []
    linear = linear_scorer()

    def apply(weights, x):
        traces.append(None)
        return linear.apply(weights, x)

    scorer, encoding, config = tiny(dataclasses.replace(linear, apply=apply), batch_size=4)
    mesh = make_mesh(1)
    evolve_seeds = make_seed_evolution(scorer, encoding, config, generations=5, mesh=mesh)
    first = evolve_seeds(replicate(scorer.params, mesh), SEEDS)
    once = len(traces)
    second = evolve_seeds(replicate(jnp.flip(scorer.params), mesh), SEEDS + np.uint32(1))
    assert len(traces) == once > 0
    assert not np.array_equal(first.state.archive.fitness, second.state.archive.fitness)
