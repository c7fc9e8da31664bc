"""Any number of pictures, scored over all devices."""

import jax.numpy as jnp
import numpy as np
import pytest
from linear import linear_scorer

from qd_fool.scoring.log_odds import evaluate
from qd_fool.scoring.score import score_function, top_classes


@pytest.fixture(scope="module")
def scorer():
    return linear_scorer()


@pytest.fixture(scope="module")
def score(scorer):
    return score_function(scorer, crops=1, chunk=4)


@pytest.mark.parametrize("n", [1, 4, 17, 230])
def test_the_scores_are_those_of_evolution(scorer, score, n):
    """Chunks of the same size on one device, in one call."""
    images = np.random.default_rng(0).integers(0, 256, (n, 6, 6, 1), dtype=np.uint8)
    expected = evaluate(scorer, scorer.params, jnp.asarray(images), chunk=4)
    np.testing.assert_array_equal(score(scorer.params, images), expected)


def test_the_most_confident_classes_come_first():
    """The first of equals first."""
    odds = np.array([0.0, 3.0, -1.0, 3.0], np.float32)
    top = top_classes(odds, ("a", "b", "c", "d"), count=3)
    assert [(t["class_index"], t["label"]) for t in top] == [(1, "b"), (3, "d"), (0, "a")]
    assert top[0]["confidence"] == pytest.approx(1 / (1 + np.exp(-3)))
    assert top[2]["confidence"] == 0.5
