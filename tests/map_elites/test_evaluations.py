"""What a run has spent, where generations cost the same and where they don't."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import assert_equal, run, tiny

from qd_fool import map_elites as me
from qd_fool.emitters import GradientSettings, Share, VariationSettings
from qd_fool.errors import UserError
from qd_fool.map_elites.division import batch_division, made_by
from qd_fool.map_elites.evaluations import evaluations_so_far, generation_cost, next_cost

MIXED = (
    Share("variation", 1.0, VariationSettings()),
    Share("gradient", 1.0, GradientSettings(steps=2, rate=4.0)),
)


@pytest.fixture(scope="module")
def adaptive():
    """A run whose generations cost 18 to 162, its state after each generation, and its log."""
    setup = tiny(batch_size=18, emitters=MIXED, shares="adaptive")
    states = [run(*setup, cut=(n,))[0] for n in range(1, 8)]
    return *setup, states, run(*setup, cut=(7,))[1]


def test_the_state_counts_what_the_emitters_made(adaptive):
    _, encoding, config, states, log = adaptive
    cost = generation_cost(config, encoding)
    assert (cost.least, cost.most, cost.varies) == (18, 18 * 9, True)
    made = log.emitters.made
    assert made[0].tolist() == [0, 0]  # random individuals have no emitter
    assert (made[1:].sum(axis=1) == 18).all()
    expected = 18 + np.cumsum(made @ np.array([1, 9]))
    np.testing.assert_array_equal(log.emitters.evaluations, expected)
    for state, spent in zip(states, expected, strict=True):
        assert evaluations_so_far(state, config, encoding=encoding) == spent


def test_the_cost_of_the_next_generation_is_known_before(adaptive):
    _, encoding, config, states, log = adaptive
    paid = np.diff(log.emitters.evaluations)
    assert [next_cost(s, config, encoding=encoding) for s in states[:-1]] == paid.tolist()
    blank = me.init(encoding, 5, seed=0, feedback=True)
    assert next_cost(blank, config, encoding=encoding) == 18


def test_the_last_chunk_counts_as_it_is(adaptive):
    _, _, config, states, _ = adaptive
    table, _ = batch_division(jax.tree.map(jnp.asarray, states[2]), config=config)
    individuals = np.repeat(np.asarray(table), config.chunk)[:18]
    expected = np.bincount(individuals, minlength=2)
    np.testing.assert_array_equal(made_by(table, config=config), expected)


def test_without_feedback_the_settings_count(adaptive):
    _, encoding, config, *_ = adaptive
    fixed = dataclasses.replace(config, shares="fixed")
    assert not fixed.feedback
    state = me.init(encoding, 5, seed=0)
    assert evaluations_so_far(state, fixed, encoding=encoding) == 0
    with pytest.raises(UserError, match="not known before it runs; expected fixed shares"):
        me.counted_evaluations(config, 3, encoding=encoding)


def test_a_mixture_is_the_same_on_any_number_of_devices(adaptive):
    scorer, encoding, config, states, log = adaptive
    other, other_log = run(scorer, encoding, config, devices=4)
    assert_equal(other, states[-1])
    assert_equal(other_log, log)


def test_bad_settings():
    with pytest.raises(UserError, match="shares is 'fair': expected one of fixed, adaptive"):
        me.MapElitesConfig(shares="fair")
    with pytest.raises(UserError, match="17 emitters: expected at most 16"):
        me.MapElitesConfig(emitters=MIXED[:1] * 17, shares="adaptive")


def test_adaptive_shares_need_feedback():
    _, encoding, config = tiny(emitters=MIXED, shares="adaptive")
    with pytest.raises(ValueError, match="init"):
        me.ask(me.init(encoding, 5, seed=0), encoding=encoding, config=config)
