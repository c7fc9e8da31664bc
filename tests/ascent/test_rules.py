"""Step rules and regularisers against NumPy and SciPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.ndimage import gaussian_filter

from qd_fool.ascent import rules
from qd_fool.errors import UserError

ZERO = jnp.int32(0)


@pytest.fixture
def x():
    return jnp.asarray(np.random.default_rng(0).normal(0, 30, (9, 7, 3)), jnp.float32)


@pytest.fixture
def gradient():
    return jnp.asarray(np.random.default_rng(1).normal(0, 1, (9, 7, 3)), jnp.float32)


@pytest.mark.parametrize(
    ("p", "gain", "max_lr"), [(0.1, 0.03, 1e12), (0.9, 0.1 * 0.1, 1e12), (0.1, None, 1e-4)]
)
def test_progress_aims_at_a_gain_of_confidence(gradient, p, gain, max_lr):
    rule = rules.progress(early=0.03, late=0.1, max_lr=max_lr)
    updates, _ = rule.update(jnp.asarray(-gradient), rule.init(gradient), doubt=jnp.float32(1 - p))
    lr = max_lr if gain is None else gain / (np.asarray(gradient, np.float64) ** 2).sum()
    np.testing.assert_allclose(updates, lr * gradient, rtol=1e-5)


def test_progress_with_almost_no_gradient_takes_its_longest_step():
    rule = rules.progress(max_lr=1e7)
    tiny = jnp.full(4, -1e-30, jnp.float32)
    updates, _ = rule.update(tiny, rule.init(tiny), doubt=jnp.float32(1))
    np.testing.assert_allclose(updates, 1e-23, rtol=1e-5)


def test_rules_have_names(gradient):
    for name, reference in (("adam", optax.adam(0.5)), ("constant", optax.sgd(0.5))):
        rule = rules.step_rule(name, lr=0.5, early=0.03, late=0.1, max_lr=1e12)
        result, _ = rule.update(gradient, rule.init(gradient), None, doubt=jnp.float32(1))
        wanted, _ = reference.update(gradient, reference.init(gradient))
        np.testing.assert_array_equal(result, wanted)
    with pytest.raises(UserError, match="expected one of adam, progress, constant"):
        rules.step_rule("momentum", lr=1.0, early=1.0, late=1.0, max_lr=1.0)


def test_decay(x, gradient):
    np.testing.assert_allclose(rules.decay(0.01)(x, gradient, ZERO), x * 0.99, rtol=1e-6)


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_blur_is_scipys(x, gradient, sigma):
    wanted = np.stack([gaussian_filter(x[..., c], sigma) for c in range(3)], axis=-1)
    got = rules.blur(sigma)(jnp.asarray(x), gradient, ZERO)
    np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_blur_comes_at_every_so_many_iterations(x, gradient):
    blur = rules.blur(0.4, every=2)
    assert np.abs(blur(jnp.asarray(x), gradient, jnp.int32(2)) - x).max() > 1
    np.testing.assert_array_equal(blur(jnp.asarray(x), gradient, jnp.int32(3)), x)


def test_small_values(x, gradient):
    wanted = x * ~(np.abs(x) < np.percentile(np.abs(x), 30))
    got = rules.zero_small_values(30.0)(jnp.asarray(x), gradient, ZERO)
    assert (wanted == 0).sum() == round(0.3 * x.size)
    np.testing.assert_array_equal(got, wanted)


def test_small_norms(x, gradient):
    norms = np.linalg.norm(x, axis=-1)
    wanted = x * ~(norms < np.percentile(norms, 20))[..., None]
    np.testing.assert_array_equal(
        rules.zero_small_norms(20.0)(jnp.asarray(x), gradient, ZERO), wanted
    )


@pytest.mark.parametrize("absolute", [False, True])
def test_low_benefit(x, gradient, absolute):
    benefit = (-gradient * x).sum(-1)
    benefit = np.abs(benefit) if absolute else benefit
    wanted = x * ~(benefit < np.percentile(benefit, 20))[..., None]
    regulariser = rules.zero_low_benefit(20.0, absolute=absolute)
    np.testing.assert_array_equal(regulariser(jnp.asarray(x), jnp.asarray(gradient), ZERO), wanted)


def test_a_chain_goes_in_order(x, gradient):
    double = lambda x, gradient, iteration: 2 * x
    add = lambda x, gradient, iteration: x + 1
    np.testing.assert_allclose(rules.chain([double, add])(x, gradient, ZERO), 2 * x + 1)
    many = jax.vmap(rules.chain([double, rules.decay(0.5)]), (0, 0, None))
    np.testing.assert_allclose(many(x[None], gradient[None], ZERO)[0], x)
