"""Detectors against their definitions, written out."""

import numpy as np
import pytest

from qd_fool.judge.detectors import DETECTORS, detector_scores, log_odds_of_logits

LOGITS = np.array([[2.0, 1.0, -1.0], [0.0, 0.0, 0.0], [-3.0, 5.0, 4.0]])


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def test_each_detector_equals_its_definition():
    found = detector_scores(LOGITS, temperature=2.0, unknown=2)
    assert set(found) == set(DETECTORS)
    for ending, t in (("", 1.0), ("-t", 2.0)):
        p = softmax(LOGITS / t)
        first, second = np.sort(p, axis=1)[:, -1], np.sort(p, axis=1)[:, -2]
        np.testing.assert_allclose(found[f"msp{ending}"], np.log(first / (1 - first)))
        np.testing.assert_allclose(found[f"entropy{ending}"], (p * np.log(p)).sum(axis=1))
        np.testing.assert_allclose(found[f"margin{ending}"], first - second, atol=1e-15)
        energy = t * np.log(np.exp(LOGITS / t).sum(axis=1))
        np.testing.assert_allclose(found[f"energy{ending}"], energy)
    np.testing.assert_array_equal(found["logit"], LOGITS.max(axis=1))
    p = softmax(LOGITS)[:, 2]
    np.testing.assert_allclose(found["unknown"], np.log((1 - p) / p))


def test_detectors_that_cannot_be_computed_are_left_out():
    assert set(DETECTORS) - set(detector_scores(LOGITS)) == {
        "msp-t", "energy-t", "entropy-t", "margin-t", "unknown",
    }  # fmt: skip


def test_log_odds_differ_where_probabilities_are_1():
    odds = log_odds_of_logits(np.array([[100.0, 0.0], [200.0, 0.0]]))
    np.testing.assert_allclose(odds, [[100.0, -100.0], [200.0, -200.0]])
    assert np.isfinite(log_odds_of_logits(np.array([[1e4, -1e4, 0.0]]))[:, 0]).all()


@pytest.mark.parametrize("shift", [-50.0, 50.0])
def test_only_logit_and_energy_see_a_shift(shift):
    before, after = detector_scores(LOGITS), detector_scores(LOGITS + shift)
    for name, values in before.items():
        moved = shift if name in ("logit", "energy") else 0.0
        np.testing.assert_allclose(after[name], values + moved, atol=1e-9)


def test_labels_that_hold_independently():
    """Each logit is a log-odds of its own; the energies of the labels add up."""
    found = detector_scores(LOGITS, temperature=2.0, unknown=2, multilabel=True)
    assert set(found) == {"logit", "energy", "unknown"}
    np.testing.assert_array_equal(found["logit"], [2, 0, 5])
    np.testing.assert_allclose(found["energy"], np.log(1 + np.exp(LOGITS)).sum(axis=1))
    np.testing.assert_array_equal(found["unknown"], [1, 0, -4])
    np.testing.assert_array_equal(log_odds_of_logits(LOGITS, multilabel=True), LOGITS)
    assert set(detector_scores(LOGITS[:, :1], multilabel=True)) == {"logit", "energy"}
