"""Medians with intervals, and a rank test, against counting by hand."""

import numpy as np
import pytest

from qd_fool.judge.statistics import mann_whitney, median_interval


def test_the_interval_holds_the_median_and_narrows_with_more_values():
    rng = np.random.default_rng(0)
    few, many = rng.normal(size=20), rng.normal(size=2000)
    width = []
    for values in (few, many):
        middle, low, high = median_interval(values)
        assert low <= middle <= high
        assert middle == np.median(values)
        width.append(high - low)
    assert width[1] < width[0] / 3
    # Order statistics by the binomial give about the same, with no resampling.
    ordered = np.sort(many)
    np.testing.assert_allclose(median_interval(many)[1:], ordered[[955, 1043]], atol=0.02)


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(1).normal(size=50)
    assert median_interval(values, seed=3) == median_interval(values, seed=3)


def test_nothing_one_value_and_equal_values():
    assert np.isnan(median_interval([])).all()
    assert np.isnan(median_interval([float("nan")])).all()
    assert median_interval([0.5]) == (0.5, 0.5, 0.5)
    assert median_interval([0.5, 0.5, float("nan")]) == (0.5, 0.5, 0.5)


def test_the_rank_test_counts_pairs():
    first, second = [1.0, 2.0, 5.0, 7.0], [2.0, 3.0, 4.0]
    pairs = sum((a > b) + 0.5 * (a == b) for a in first for b in second)
    result = mann_whitney(first, second)
    assert result["u"] == pairs
    assert result["effect"] == pairs / 12
    assert mann_whitney(second, first)["p"] == result["p"]
    assert mann_whitney(range(30), range(100, 130))["p"] < 1e-9


def test_a_group_without_values_is_refused():
    with pytest.raises(ValueError, match="0 and 1 values"):
        mann_whitney([], [1.0])
