"""One suite for all networks of the zoo: a new one is tested by being registered."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qd_fool.errors import UserError
from qd_fool.kernel import evaluate, log_odds
from qd_fool.models import ZOO, load_scorer


@pytest.fixture(params=list(ZOO))
def scorer(request):
    return load_scorer(request.param)


def pictures(scorer, n=3):
    rng = np.random.default_rng(0)
    return jnp.asarray(rng.integers(0, 256, (n, *scorer.image_shape)), jnp.uint8)


def test_scores_have_a_column_a_class_and_are_finite(scorer):
    scores = evaluate(scorer, scorer.params, pictures(scorer), chunk=2)
    assert scores.shape == (3, len(scorer.class_names))
    assert np.isfinite(scores).all()


def test_confidences_add_up_to_one(scorer):
    scores = np.asarray(evaluate(scorer, scorer.params, pictures(scorer), chunk=3), np.float64)
    np.testing.assert_allclose((1 / (1 + np.exp(-scores))).sum(axis=1), 1, atol=1e-5)


def test_parameters_are_counted_as_stated(scorer):
    count = sum(leaf.size for leaf in jax.tree.leaves(scorer.params))
    assert count == ZOO[scorer.name].parameters


def test_parameters_are_an_argument(scorer):
    """Other parameters, other scores, with the same compiled function."""
    score = jax.jit(lambda p, x: log_odds(scorer, p, x))
    zeros = jax.tree.map(jnp.zeros_like, scorer.params)
    images = pictures(scorer)
    assert not np.allclose(score(scorer.params, images), score(zeros, images))
    assert score._cache_size() == 1


def test_gradient_reaches_the_picture(scorer):
    x = pictures(scorer, 1).astype(jnp.float32)
    gradient = jax.grad(lambda x: log_odds(scorer, scorer.params, x)[0, 0])(x)
    assert np.isfinite(gradient).all()
    assert np.any(gradient != 0)


def test_facts_are_stated(scorer):
    entry = ZOO[scorer.name]
    facts = (entry.architecture, entry.source, entry.licence, entry.preprocessing, entry.accuracy)
    assert all(facts)
    assert len(scorer.weights_sha256) == 64
    assert min(entry.image_shape[:2]) >= entry.input_size


def test_unknown_model_is_told_with_those_there_are():
    with pytest.raises(UserError, match="unknown model 'vgg': expected one of lenet, lenet-b"):
        load_scorer("vgg")
