"""Gains, shares and step sizes, each against plain Python."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qd_fool.archive import empty_archive
from qd_fool.map_elites import feedback as fb

COSTS = [1, 1, 5]


def with_history(gain, cost):
    """Feedback of three emitters."""
    blank = fb.no_feedback(4)
    pad = [0] * (fb.MOST_EMITTERS - len(gain))
    return dataclasses.replace(
        blank, gain=jnp.asarray(gain + pad, jnp.int32), cost=jnp.asarray(cost + pad, jnp.int32)
    )


STATED = [3.0, 1.0, 2.0]


def plain_shares(gain, cost):
    rates = [g / c if c else math.inf for g, c in zip(gain, cost, strict=True)]
    best = max([r for r in rates if r < math.inf], default=0)
    powers = [(min(r, best) / best) ** fb.SHARPNESS if best else 1 for r in rates]
    weights = [s * p for s, p in zip(STATED, powers, strict=True)]
    rest = 1 - len(gain) * fb.LEAST_SHARE
    return [fb.LEAST_SHARE + rest * w / sum(weights) for w in weights]


@pytest.mark.parametrize(
    ("gain", "cost"),
    [
        ([0, 0, 0], [0, 0, 0]),  # the first generation: stated shares
        ([0, 0, 0], [100, 100, 100]),  # nothing works: stated shares
        ([300, 100, 500], [100, 100, 500]),  # per evaluation, the first is best
        ([300, 100, 0], [100, 100, 0]),  # one without offspring so far counts as the best
        ([2**30, 1, 0], [1, 2**30, 7]),
    ],
)
def test_shares_follow_the_gain_per_evaluation(gain, cost):
    feedback = with_history(gain, cost)
    shares = np.asarray(fb.shares_of(feedback, STATED, joins=jnp.ones(3, bool)))
    assert shares == pytest.approx(plain_shares(gain, cost), rel=1e-5)
    assert shares.min() >= fb.LEAST_SHARE * (1 - 1e-5)


def test_an_emitter_that_has_not_joined_gets_nothing():
    feedback = with_history([300, 900, 500], [100, 100, 500])
    shares = np.asarray(fb.shares_of(feedback, STATED, joins=jnp.asarray([True, False, True])))
    least, rest = fb.LEAST_SHARE, 1 - 2 * fb.LEAST_SHARE
    weights = [STATED[0], STATED[2] * (1 / 3) ** fb.SHARPNESS]
    expected = [least + rest * w / sum(weights) for w in weights]
    assert shares == pytest.approx([expected[0], 0, expected[1]], rel=1e-5)


@pytest.mark.parametrize("chunks", [1, 2, 7])
def test_shares_hold_on_average_whatever_the_number_of_chunks(chunks):
    """At no time is an emitter a whole chunk or more behind or ahead."""
    shares = jnp.asarray([0.62, 0.3, 0.08])
    credit, given = fb.no_feedback(1).credit, np.zeros(3)
    divide = jax.jit(lambda credit: fb.divide(shares, credit, chunks=chunks))
    for batch in range(1, 61):
        table, credit = divide(credit)
        given += np.bincount(table, minlength=3)
        assert np.abs(given - batch * chunks * np.asarray(shares)).max() < 1 + batch * 1e-4
    assert (given > 0).all()


def archive_of(fitness):
    archive = empty_archive(jax.ShapeDtypeStruct((1,), jnp.float32), len(fitness))
    return dataclasses.replace(archive, fitness=jnp.asarray(fitness, jnp.float32))


def test_a_gain_is_the_confidence_added():
    before = archive_of([-math.inf, 0.0, 2.0, 1.0])
    after = archive_of([0.0, 1.0, 2.0, 3.0])
    inserted, owner = jnp.asarray([True, True, False, True]), jnp.asarray([2, 0, 0, 2])
    found = fb.gains_of(before, after, inserted, owner, emitters=3)
    p = [1 / (1 + math.exp(-x)) for x in (0.0, 1.0, 3.0)]
    expected = [p[1] - 0.5, 0.0, p[0] + p[2] - p[1]]
    assert np.asarray(found) / fb.ONE_GAIN == pytest.approx(expected, abs=1 / fb.ONE_GAIN)


def test_a_generation_is_booked_and_older_ones_fade():
    feedback = with_history([1000, 0, 50], [400, 10, 0])
    after = fb.account(
        feedback,
        gains=jnp.asarray([5, 7, 0]),
        made=jnp.asarray([10, 6, 4]),
        costs=COSTS,
        credit=feedback.credit + 1,
        batch_size=20,
    )
    lasting = fb.HORIZON // 20
    assert int(after.evaluations) == 10 + 6 + 4 * 5
    assert after.made[:3].tolist() == [10, 6, 4]
    assert after.gain[:3].tolist() == [1000 - 1000 // lasting + 5, 7, 50 - 50 // lasting]
    assert after.cost[:3].tolist() == [400 - 400 // lasting + 10, 10 + 6, 20]
    assert after.credit.tolist() == [1] * fb.MOST_EMITTERS


def test_step_sizes_by_hand():
    """Cell 0 fails twice, cell 1 succeeds once and fails once, cell 2 is taken by an offspring of
    cell 1, cell 3 by one of cell 0 that has no step size; cell 4 is left alone."""
    scale = jnp.asarray([1.0, 2.0, 4.0, 8.0, 16.0])
    found = fb.adapt_scale(
        scale,
        parent=jnp.asarray([0, 0, 1, 1, 4, -1]),
        stepped=jnp.asarray([True, True, True, True, False, True]),
        succeeded=jnp.asarray([False, False, True, False, True, True]),
        inserted=jnp.asarray([False, True, True, True, False]),
        new_parent=jnp.asarray([9, 1, 1, 0, 4]),
        new_stepped=jnp.asarray([True, True, True, False, True]),
    )
    assert np.asarray(found) == pytest.approx([1.5**-0.5, 2.0 * 1.5 * 1.5**-0.25, 2.0, 1.0, 16.0])


def test_one_success_in_five_keeps_a_step_size():
    assert pytest.approx(1.0) == fb.FASTER * fb.SLOWER**4


def test_step_sizes_stay_within_their_bounds():
    def many(success):
        n = 64
        return fb.adapt_scale(
            jnp.asarray([fb.MOST_SCALE if success else fb.LEAST_SCALE]),
            parent=jnp.zeros(n, int),
            stepped=jnp.ones(n, bool),
            succeeded=jnp.arange(n) < success,
            inserted=jnp.asarray([bool(success)]),
            new_parent=jnp.zeros(1, int),
            new_stepped=jnp.ones(1, bool),
        )

    assert fb.LEAST_SCALE <= float(many(1)[0]) <= fb.MOST_SCALE
    assert float(many(0)[0]) == fb.LEAST_SCALE
