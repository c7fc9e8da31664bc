"""The kernel against float64 NumPy: log-odds, ten crops, chunks, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from linear import linear_scorer

from qd_fool.errors import UserError
from qd_fool.scoring.log_odds import (
    evaluate,
    log_odds,
    log_odds_from_logits,
    mean_confidence_log_odds,
)

# Called eagerly, each of their operations would be compiled by itself.
from_logits, from_crops = jax.jit(log_odds_from_logits), jax.jit(mean_confidence_log_odds)


def oracle_log_odds(logits: np.ndarray) -> np.ndarray:
    """log p_k - log sum of the others, by the definition, in float64."""
    logits = logits.astype(np.float64)
    out = np.empty_like(logits)
    for i, row in enumerate(logits):
        for k in range(len(row)):
            others = np.delete(row, k)
            top = others.max()
            out[i, k] = row[k] - (top + np.log(np.exp(others - top).sum()))
    return out


@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0, 3000.0])
@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_log_odds_equal_the_definition(scale, classes):
    logits = np.random.default_rng(1).normal(size=(20, classes)).astype(np.float32) * scale
    result = np.asarray(from_logits(jnp.asarray(logits)))
    np.testing.assert_allclose(result, oracle_log_odds(logits), rtol=2e-6, atol=2e-6)


def test_log_odds_go_on_where_float32_softmax_sticks_at_1():
    logits = jnp.asarray([[20.0, 0, 0], [60.0, 0, 0], [900.0, 0, 0]])
    assert np.all(np.asarray(jax.nn.softmax(logits)[1:, 0]) == 1.0)
    result = np.asarray(from_logits(logits)[:, 0])
    np.testing.assert_allclose(result, np.array([20.0, 60, 900]) - np.log(2), rtol=1e-6)


def test_log_odds_of_tied_winners():
    result = np.asarray(from_logits(jnp.asarray([[5.0, 5.0, -50.0]])))
    np.testing.assert_allclose(result[0, :2], [0, 0], atol=1e-6)


def test_one_class_is_refused():
    with pytest.raises(UserError, match="1 class"):
        log_odds_from_logits(jnp.zeros((2, 1)))


def test_crops_average_the_confidence():
    logits = np.random.default_rng(2).normal(size=(10, 4, 7)).astype(np.float32) * 3
    z = from_logits(jnp.asarray(logits.reshape(40, 7))).reshape(10, 4, 7)
    exps = np.exp(logits.astype(np.float64))
    p = (exps / exps.sum(-1, keepdims=True)).mean(axis=0)
    np.testing.assert_allclose(from_crops(z), np.log(p / (1 - p)), atol=2e-5)


def test_ten_crops_score_the_mean_confidence():
    """Against the mean of softmaxes, the crops cut by hand."""
    scorer = linear_scorer()
    images = np.random.default_rng(5).integers(0, 256, (3, 9, 8, 1), dtype=np.uint8)
    found = log_odds(scorer, scorer.params, jnp.asarray(images), crops=10)
    confidences = []
    for y, x in [(0, 0), (0, 2), (3, 0), (3, 2), (1, 1)]:
        cut = images[:, y : y + 6, x : x + 6]
        for view in (cut, cut[:, :, ::-1]):
            logits = view.reshape(3, -1) / 64 @ np.asarray(scorer.params, np.float64)
            shares = np.exp(logits - logits.max(axis=1, keepdims=True))
            confidences.append(shares / shares.sum(axis=1, keepdims=True))
    expected = np.mean(confidences, axis=0)
    np.testing.assert_allclose(
        1 / (1 + np.exp(-np.asarray(found, np.float64))), expected, rtol=1e-4
    )


@pytest.mark.parametrize("crops", [1, 10])
def test_a_score_does_not_depend_on_its_neighbours(crops):
    scorer = linear_scorer()
    images = np.random.default_rng(0).integers(0, 256, (11, 9, 9, 1), dtype=np.uint8)
    whole = evaluate(scorer, scorer.params, jnp.asarray(images), crops=crops, chunk=4)
    alone = evaluate(scorer, scorer.params, jnp.asarray(images[9:10]), crops=crops, chunk=4)
    np.testing.assert_array_equal(whole[9:10], alone)


@pytest.mark.parametrize("crops", [1, 10])
def test_gradient_with_respect_to_float_pictures(crops):
    """The kernel is differentiable below the byte cast: against central differences."""
    scorer = linear_scorer()
    image = jnp.asarray(np.random.default_rng(3).uniform(0, 255, (1, 8, 8, 1)), jnp.float32)

    @jax.jit
    def target(x):
        return log_odds(scorer, scorer.params, x, crops=crops)[0, 1]

    gradient = np.asarray(jax.jit(jax.grad(target))(image))
    rng = np.random.default_rng(4)
    direction = jnp.asarray(rng.normal(size=image.shape), jnp.float32)
    step = 0.25
    numeric = (target(image + step * direction) - target(image - step * direction)) / (2 * step)
    np.testing.assert_allclose(np.sum(gradient * direction), numeric, rtol=2e-3, atol=1e-4)


def test_gradient_is_finite_for_saturated_scores():
    scorer = linear_scorer()
    image = jnp.full((1, 6, 6, 1), 255.0)
    far = jax.jit(jax.grad(lambda x: log_odds(scorer, scorer.params * 100, x)[0, 0]))(image)
    assert np.isfinite(far).all()


def test_bytes_and_floats_of_the_same_values_score_alike():
    scorer = linear_scorer()
    images = jnp.asarray(np.random.default_rng(5).integers(0, 256, (4, 6, 6, 1)), jnp.uint8)
    a = log_odds(scorer, scorer.params, images)
    np.testing.assert_array_equal(a, log_odds(scorer, scorer.params, images.astype(jnp.float32)))
