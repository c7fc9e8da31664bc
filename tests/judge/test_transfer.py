"""Counting what fools whom, against figures worked out by hand."""

import numpy as np
import pytest

from qd_fool.judge.transfer import PairCounts, asked, fools_all, fools_both, pair_counts

A = np.asarray([1.0, 0.99, 0.98, 0.9999, 0.2])
B = np.asarray([0.995, 0.5, 0.999, 0.9999, 0.1])


def test_pairs_are_counted_with_the_threshold_itself():
    assert pair_counts(A, B, threshold=0.99) == PairCounts(
        images=5, a=3, b=3, both=2, a_only=1, b_only=1
    )
    assert pair_counts(A, B, threshold=0.9999) == PairCounts(
        images=5, a=2, b=1, both=1, a_only=1, b_only=0
    )


def test_what_was_not_measured_is_not_counted():
    with pytest.raises(ValueError, match="NaN"):
        pair_counts(A, np.full(5, np.nan), threshold=0.99)
    confidence = np.stack([A, np.full(5, np.nan), B], axis=1)
    assert asked(confidence).tolist() == [True, False, True]
    assert fools_both(confidence).tolist() == [[3, -1, 2], [-1, -1, -1], [2, -1, 3]]


def test_the_matrix_agrees_with_the_pairs():
    confidence = np.random.default_rng(0).beta(0.1, 0.1, (200, 4))
    counts = fools_both(confidence, threshold=0.9)
    for i in range(4):
        for j in range(4):
            pair = pair_counts(confidence[:, i], confidence[:, j], threshold=0.9)
            assert counts[i, j] == pair.both
            assert pair.both + pair.a_only == pair.a == counts[i, i]
            assert pair.both + pair.b_only == pair.b == counts[j, j]


def test_what_fools_all_comes_first():
    confidence = np.stack([A, B, [0.9, np.nan, 0.999, np.nan, 0.9]], axis=1)
    order, least, count = fools_all(confidence)
    assert order.tolist() == [3, 2, 0, 1, 4]
    assert least.tolist() == [0.9999, 0.98, 0.9, 0.5, 0.1]
    assert count == 1
