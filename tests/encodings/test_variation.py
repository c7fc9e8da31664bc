"""The operators against the original code's formulas, written again in plain NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from qd_fool.encodings import variation
from qd_fool.encodings.variation import mutation_threshold

# Each compiled as one program, not operation by operation.
polynomial_step = jax.jit(variation.polynomial_step, static_argnames="eta")
mutate, sbx = jax.jit(variation.mutate), jax.jit(variation.sbx)


def original_step(u, eta):
    """evo_float_image.hpp:128-141."""
    a = 1 / (eta + 1)
    return np.where(u < 0.5, (2 * u) ** a - 1, 1 - (2 * (1 - u)) ** a)


@pytest.mark.parametrize("eta", [15.0, 10.0, 0.0])
def test_step_distribution_equals_the_originals(eta):
    rng = np.random.default_rng(0)
    reference = original_step(rng.random(200_000), eta)
    magnitude = jnp.asarray(rng.random(200_000), jnp.float32)
    result = polynomial_step(magnitude, jnp.asarray(rng.random(200_000) < 0.5), eta=eta)
    assert scipy.stats.ks_2samp(np.asarray(result), reference).pvalue > 1e-4


@pytest.mark.parametrize("generation", [1, 18_000])
@pytest.mark.parametrize("gene", [0.5, 0.0, 1.0, 0.02])
def test_mutated_genes_follow_the_clipped_formula(generation, gene):
    """Away from the bounds and at them; also where the rate is near 2^-21."""
    threshold = mutation_threshold(0.1, jnp.int32(generation))
    rng = np.random.default_rng(1)
    # Words below the threshold only: what mutates, whatever the rate.
    bits = jnp.asarray(rng.integers(0, int(threshold), (100, 1000)), jnp.uint32)
    result = np.asarray(mutate(jnp.full((100, 1000), gene), bits, threshold)).ravel()
    reference = np.clip(gene + original_step(rng.random(100_000), 15.0), 0, 1)
    # Late in a run the step has threshold / 2 sizes, coarser than the test can see in the bulk.
    limit = 1.95 * np.sqrt(2 / 100_000) + 1 / (int(threshold) / 2)
    assert scipy.stats.ks_2samp(result, reference).statistic < limit
    at_zero, at_one = (result == 0).mean(), (result == 1).mean()
    assert abs(at_zero - (reference == 0).mean()) < 0.01
    assert abs(at_one - (reference == 1).mean()) < 0.01


def test_sign_is_fair_and_independent_of_the_magnitude():
    threshold = mutation_threshold(0.1, jnp.int32(20_000))
    bits = jnp.arange(int(threshold) // 2 * 2, dtype=jnp.uint32)[None]
    steps = np.asarray(mutate(jnp.full(bits.shape, 0.5), bits, threshold))[0] - 0.5
    up, down = np.sort(steps[steps > 0]), np.sort(-steps[steps < 0])
    assert abs(len(up) - len(down)) <= 2
    np.testing.assert_allclose(up[-50:], down[-50:], atol=1e-6)


def test_threshold_is_exact():
    for rate in (0.1, 0.5, 1e-3):
        start = round(rate * 2**32)
        for generation in (0, 999, 1000, 7999, 20_000, 10**9):
            expected = start >> min(generation // 1000, 31)
            assert int(mutation_threshold(rate, jnp.int32(generation))) == expected


def test_no_gene_mutates_at_rate_zero():
    threshold = mutation_threshold(0.0, jnp.int32(0))
    genes = jnp.full((1, 4), 0.25)
    bits = jnp.zeros((1, 4), jnp.uint32)
    np.testing.assert_array_equal(mutate(genes, bits, threshold), genes)


def original_sbx(y1, y2, r, eta):
    """evo_float_image.hpp:195-237 for one gene, in float64; both children."""
    low, high = min(y1, y2), max(y1, y2)
    gap = high - low

    def betaq(room):
        alpha = 2 - (1 + 2 * room / gap) ** -(eta + 1)
        if r <= 1 / alpha:
            return (r * alpha) ** (1 / (eta + 1))
        return (1 / (2 - r * alpha)) ** (1 / (eta + 1))

    c1 = 0.5 * ((low + high) - betaq(low) * gap)
    c2 = 0.5 * ((low + high) + betaq(1 - high) * gap)
    return np.clip([c1, c2], 0, 1)


@pytest.mark.parametrize(("y1", "y2"), [(0.2, 0.7), (0.0, 1.0), (0.9, 0.1), (0.5, 0.51)])
def test_sbx_distribution_equals_the_originals(y1, y2):
    rng = np.random.default_rng(2)
    n, genes = 200, 200
    keys = jax.random.split(jax.random.key(3), n)
    result = np.asarray(sbx(keys, jnp.full((n, genes), y1), jnp.full((n, genes), y2))).ravel()
    reference = np.array(
        [
            original_sbx(y1, y2, r, 10.0)[c]
            for r, c in zip(rng.random(40_000), rng.integers(0, 2, 40_000), strict=True)
        ]
    )
    assert scipy.stats.ks_2samp(result, reference.astype(np.float32)).pvalue > 1e-4


def test_sbx_keeps_a_gene_on_which_parents_agree():
    keys = jax.random.split(jax.random.key(0), 3)
    same = jnp.full((3, 5), 0.3)
    np.testing.assert_array_equal(sbx(keys, same, same), same)
