"""Intervals of shares and means, against SciPy and by their coverage."""

import numpy as np
import pytest
import scipy.stats

from qd_fool.judge.intervals import mean_value, share_value


@pytest.mark.parametrize(("fooled", "of"), [(0, 10), (10, 10), (3, 17), (500, 1000)])
def test_one_seed_has_wilsons_interval(fooled, of):
    found = share_value(np.arange(of)[None] < fooled)
    wilson = scipy.stats.binomtest(fooled, of).proportion_ci(0.95, method="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((fooled / of, *wilson), abs=1e-12)


def test_three_seeds_have_students_interval():
    fooled = np.zeros((3, 10), bool)
    for seed, count in enumerate((4, 5, 9)):
        fooled[seed, :count] = True
    found = share_value(fooled)
    low, high = scipy.stats.t.interval(0.95, 2, 0.6, scipy.stats.sem([0.4, 0.5, 0.9]))
    assert found.value == pytest.approx(0.6)
    assert (found.low, found.high) == pytest.approx((max(0, low), min(1, high)))


def test_equal_seeds_are_not_taken_for_certainty():
    assert share_value(np.ones((4, 10), bool)).low < 1


def test_the_interval_of_a_mean_holds_it():
    values = np.random.default_rng(0).random((1, 200))
    found = mean_value(values)
    assert found.low < values.mean() < found.high
    assert 0.05 < found.high - found.low < 0.12
