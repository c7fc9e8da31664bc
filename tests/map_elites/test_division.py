"""When emitters with a step size join, and what a plan of that leaves alone."""

import jax
import numpy as np
import pytest
from tiny import CLASSES, compiled, tiny

from qd_fool import map_elites as me
from qd_fool.devices.mesh import replicate
from qd_fool.emitters import OperatorSettings, Share, VariationSettings
from qd_fool.map_elites.division import begin_tuning, plan_tuning

EMITTERS = (Share("variation", 1.0, VariationSettings()), Share("fine", 1.0, OperatorSettings()))


@pytest.fixture(scope="module")
def setup():
    return tiny(emitters=EMITTERS, shares="adaptive", tune_after=0.5)


def offspring_of_each(setup, tune):
    """`(generations, emitters)` offspring in eight generations, tuning as `tune` says."""
    scorer, encoding, config = setup
    mesh, segment = compiled(scorer, encoding, config, devices=1, length=8, log_offspring=False)
    state = tune(me.init(encoding, CLASSES, seed=0, feedback=True))
    _, log = segment(replicate(state, mesh), replicate(scorer.params, mesh), np.int32(8))
    return np.asarray(log.emitters.made)


def test_fine_steps_join_after_their_part_of_the_run(setup):
    made = offspring_of_each(setup, lambda s: plan_tuning(s, config=setup[2], generations=8))
    assert made[1:4].tolist() == [[20, 0]] * 3
    assert (made[4:, 1] > 0).any()
    assert (made[1:].sum(axis=1) == 20).all()


def test_without_a_plan_they_share_from_the_start(setup):
    made = offspring_of_each(setup, lambda state: state)
    assert (made[1:4, 1] > 0).any()


def test_a_plan_moves_only_what_has_not_begun(setup):
    _, encoding, config = setup
    blank = jax.device_get(me.init(encoding, CLASSES, seed=0, feedback=True))

    def planned(generation, tune_from):
        state = begin_tuning(blank, tune_from).replace(generation=np.int32(generation))
        return int(plan_tuning(state, config=config, generations=100).feedback.tune_from)

    assert planned(0, 0) == 50  # a new run
    assert planned(10, 20) == 50  # a resumed one that shall become longer
    assert planned(30, 20) == 20  # it has begun

    without = me.init(encoding, CLASSES, seed=0)
    assert plan_tuning(without, config=config, generations=100) is without
