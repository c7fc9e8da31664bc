"""Calibration error and temperature against their definitions."""

import numpy as np
import pytest

from qd_fool.judge.calibration import expected_calibration_error, fit_temperature, reliability


def test_the_error_is_the_weighted_distance_of_the_bins():
    confidence = np.array([0.95, 0.97, 0.95, 0.55, 0.52])
    right = np.array([True, True, False, True, False])
    plain = 3 / 5 * abs(np.mean([0.95, 0.97, 0.95]) - 2 / 3) + 2 / 5 * abs(0.535 - 0.5)
    assert expected_calibration_error(confidence, right, bins=10) == pytest.approx(plain)
    bins = reliability(confidence, right, bins=10)
    assert [each.count for each in bins] == [0, 0, 0, 0, 0, 2, 0, 0, 0, 3]
    from_bins = sum(b.count * abs(b.confidence - b.accuracy) for b in bins if b.count) / 5
    assert from_bins == pytest.approx(plain)


def test_borders_belong_to_the_bin_below():
    bins = reliability(np.array([0.0, 0.5, 1.0]), np.ones(3, bool), bins=2)
    assert [each.count for each in bins] == [2, 1]


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_temperature_undoes_a_factor_of_the_logits(factor):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 5))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.array([rng.choice(5, p=row) for row in p])
    usual = fit_temperature(logits, labels)
    assert usual == pytest.approx(1.0, abs=0.06)
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor * usual, rel=1e-3)


def test_the_temperature_of_labels_that_hold_independently():
    """The most confident label is right as often as its own confidence says."""
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 5))
    top = logits.max(axis=1)
    right = rng.random(4000) < 1 / (1 + np.exp(-top))
    labels = np.where(right, logits.argmax(axis=1), (logits.argmax(axis=1) + 1) % 5)
    usual = fit_temperature(logits, labels, multilabel=True)
    assert usual == pytest.approx(1.0, abs=0.06)
    assert fit_temperature(3 * logits, labels, multilabel=True) == pytest.approx(
        3 * usual, rel=1e-3
    )
