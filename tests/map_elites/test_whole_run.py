"""A whole run in memory."""

import dataclasses

import jax
import numpy as np
import pytest
from tiny import tiny

import qd_fool
from qd_fool.errors import UserError


def test_evolve_in_three_lines():
    scorer = qd_fool.load_scorer("lenet")
    encoding = qd_fool.make_encoding("direct", scorer.image_shape)
    state = qd_fool.evolve(scorer, encoding, generations=20, devices=2)
    assert int(state.generation) == 21
    assert np.median(1 / (1 + np.exp(-state.archive.fitness))) > 0.5


def test_nan_scores_stop_it():
    scorer = qd_fool.load_scorer("lenet")
    encoding = qd_fool.make_encoding("direct", scorer.image_shape)
    bad = dataclasses.replace(scorer, params=jax.tree.map(lambda a: a * np.nan, scorer.params))
    with pytest.raises(UserError, match="NaN or infinite scores, first in generation 0"):
        qd_fool.evolve(bad, encoding, generations=3, devices=2)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"generations": -1}, "generations is -1"),
        ({"generations": 2**31}, "fewer than 2\\^31"),
        ({"generations": 1, "seed": 2**32}, "seed is 4294967296"),
    ],
)
def test_runs_that_32_bits_cannot_count(fields, message):
    scorer, encoding, config = tiny()
    with pytest.raises(UserError, match=message):
        qd_fool.evolve(scorer, encoding, config=config, **fields)
