"""The direct encoding's own promises: 8-bit genes, uniform birth, rate, schedule, settings."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from qd_fool.encodings import make_encoding
from qd_fool.errors import UserError

SHAPE = (28, 28, 1)
ALPHA = 1e-4
"""Chance that a statistical test fails on a right program; seeds are fixed, so it does not."""


def keys(n, seed=0):
    return jax.random.split(jax.random.key(seed), n)


@functools.cache
def made(**settings):
    """Jitted: called eagerly, each operation would be compiled by itself."""
    plain = make_encoding("direct", SHAPE, **settings)
    functions = {name: jax.jit(getattr(plain, name)) for name in ("init", "vary", "render")}
    return dataclasses.replace(plain, **functions)


def test_birth_is_uniform_over_bytes():
    genes = np.asarray(made().init(keys(100)))
    counts = np.bincount(genes.ravel(), minlength=256)
    assert scipy.stats.chisquare(counts).pvalue > ALPHA


def test_float_birth_is_uniform_and_renders_by_truncation():
    encoding = made(genes="float")
    genes = np.asarray(encoding.init(keys(50)))
    assert scipy.stats.kstest(genes.ravel(), "uniform").pvalue > ALPHA
    expected = np.trunc(genes * np.float32(255)).astype(np.uint8).reshape(50, *SHAPE)
    np.testing.assert_array_equal(encoding.render(jnp.asarray(genes)), expected)
    assert np.asarray(encoding.render(jnp.ones((1, 784)))).min() == 255


@pytest.mark.parametrize(
    ("generation", "rate"), [(1, 0.1), (999, 0.1), (1000, 0.05), (3500, 0.0125)]
)
def test_rate_is_halved_every_1000_generations(generation, rate):
    # Float genes: each mutation shows, while an 8-bit gene can round back to itself.
    encoding = made(genes="float")
    parents = jnp.full((500, 784), 0.5)
    children = np.asarray(encoding.vary(keys(500), parents, parents, jnp.int32(generation)))
    changed = int((children != 0.5).sum())
    assert scipy.stats.binomtest(changed, children.size, rate).pvalue > ALPHA


def test_genes_mutate_independently_of_their_place():
    encoding = made(genes="float")
    parents = jnp.full((1000, 784), 0.5)
    children = np.asarray(encoding.vary(keys(1000), parents, parents, jnp.int32(1)))
    per_gene = (children != 0.5).sum(axis=0)
    per_child = (children != 0.5).sum(axis=1)
    for counts, trials in ((per_gene, 1000), (per_child, 784)):
        z = (counts - 0.1 * trials) / np.sqrt(0.09 * trials)
        assert scipy.stats.kstest(z, "norm").statistic < 0.1
        assert abs(z.var() - 1) < 0.2


def test_8_bit_mutation_equals_rounding_the_formula():
    """At each start value, the distribution over bytes against the formula's, by chi-square."""
    encoding = made(mutation_rate=1.0)
    for start in (0, 3, 128, 250, 255):
        parents = jnp.full((400, 784), start, jnp.uint8)
        children = np.asarray(encoding.vary(keys(400, start), parents, parents, jnp.int32(1)))
        observed = np.bincount(children.ravel(), minlength=256)
        # P(step <= s) of polynomial mutation, by inverting u -> d of the original code.
        edges = (np.arange(257) - 0.5 - start) / 255
        edges[0], edges[-1] = -1.0, 1.0
        cdf = np.where(edges < 0, 0.5 * (1 + edges) ** 16, 1 - 0.5 * (1 - edges) ** 16)
        expected = np.diff(cdf) * children.size
        if start == 0:
            expected[0] = cdf[1] * children.size
        keep = expected > 5
        o, e = (np.append(a[keep], a[~keep].sum()) for a in (observed.astype(float), expected))
        if e[-1] < 5:
            o, e = o[:-1], e[:-1]
        assert scipy.stats.chisquare(o, e * o.sum() / e.sum()).pvalue > ALPHA, start


def test_mean_step_matches_the_facts():
    """E|d| in unit range: 0.0588 from gene 128, 0.029 from gene 0 (clipped)."""
    encoding = made(mutation_rate=1.0)
    for start, expected in ((128, 1 / 17), (0, 1 / 34)):
        parents = jnp.full((400, 784), start, jnp.uint8)
        children = np.asarray(encoding.vary(keys(400), parents, parents, jnp.int32(1)))
        mean = np.abs(children.astype(float) - start).mean() / 255
        assert abs(mean - expected) < 3e-4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mutation_rate": 1.5}, "mutation_rate is 1.5: expected 0 to 1"),
        ({"crossover_rate": -0.1}, "crossover_rate is -0.1"),
        ({"eta": -1.0}, "eta is -1.0"),
        ({"genes": "bits"}, "genes is 'bits': expected one of int, float"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(UserError, match=message):
        make_encoding("direct", SHAPE, **settings)


def test_crossover_off_leaves_mutation_as_it_was():
    plain = made()
    rarely = made(crossover_rate=1e-9)
    parents, mates = plain.init(keys(8)), plain.init(keys(8, 1))
    a = plain.vary(keys(8, 2), parents, mates, jnp.int32(1))
    b = rarely.vary(keys(8, 2), parents, mates, jnp.int32(1))
    np.testing.assert_array_equal(a, b)


def test_crossover_of_an_individual_with_itself_only_mutates():
    """The original's crossover writes 0.5 wherever parents agree; this one must not."""
    encoding = made(crossover_rate=1.0, mutation_rate=0.0)
    parents = encoding.init(keys(8))
    children = encoding.vary(keys(8, 1), parents, parents, jnp.int32(1))
    np.testing.assert_array_equal(children, parents)
