"""AUROC, AUPR and FPR at 95% TPR: scikit-learn, a plain reading, and the bootstrap's own curves."""

import numpy as np
import pytest

from qd_fool.errors import UserError
from qd_fool.judge import separation as module
from qd_fool.judge.separation import curve_areas, separation


def arrays(kind):
    rng = np.random.default_rng(3)
    if kind == "ties":
        return rng.integers(0, 6, 60).astype(float), rng.integers(-2, 4, 37).astype(float)
    if kind == "apart":
        return rng.normal(5, 1, 40), rng.normal(-5, 1, 7)
    return rng.normal(1, 1, 90), rng.normal(0, 2, 50)


def plain_reading(photographs, fooling):
    """The definitions, one comparison at a time."""
    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in photographs for b in fooling]
    scores = sorted({*photographs, *fooling}, reverse=True)
    precision_sum, before = 0.0, 0
    for threshold in scores:
        tp = int((photographs >= threshold).sum())
        fp = int((fooling >= threshold).sum())
        precision_sum += (tp - before) * tp / (tp + fp)
        before = tp
    enough = [t for t in scores if (photographs >= t).mean() >= 0.95]
    threshold = max(enough)
    return (
        float(np.mean(pairs)),
        precision_sum / len(photographs),
        float((fooling >= threshold).mean()),
        threshold,
    )


@pytest.mark.parametrize("kind", ["overlapping", "ties", "apart"])
def test_scikit_learn_and_a_plain_reading_agree(kind):
    photographs, fooling = arrays(kind)
    right = np.arange(len(photographs)) % 5 > 0
    found = separation(photographs, fooling, right)
    auroc, aupr, fpr95, threshold = plain_reading(photographs, fooling)
    assert found.auroc.value == pytest.approx(auroc, abs=1e-12)
    assert found.aupr.value == pytest.approx(aupr, abs=1e-12)
    assert found.fpr95.value == pytest.approx(fpr95, abs=1e-12)
    assert found.threshold == threshold
    assert found.accuracy == pytest.approx((right & (photographs >= threshold)).mean())
    for value in (found.auroc, found.aupr, found.fpr95):
        assert 0 <= value.low <= value.value + 1e-12
        assert value.value - 1e-12 <= value.high <= 1


@pytest.mark.parametrize("kind", ["overlapping", "ties", "apart"])
def test_the_bootstraps_curves_equal_the_definitions(kind):
    photographs, fooling = arrays(kind)
    levels = np.unique(np.concatenate([photographs, fooling]))[::-1]
    counts = [
        (levels[None] == scores[:, None]).sum(axis=0)[None].astype(float)
        for scores in (photographs, fooling)
    ]
    found = [float(values[0]) for values in curve_areas(*counts)]
    assert found == pytest.approx(plain_reading(photographs, fooling)[:3], abs=1e-12)


def test_a_detector_that_passes_all_of_few_pictures_has_a_wide_interval():
    found = separation(np.arange(40.0), np.full(6, 99.0), np.ones(40, bool))
    assert found.fpr95.value == found.fpr95.high == 1
    assert found.fpr95.low < 0.65


def test_without_scikit_learn_a_sentence_names_the_extra(monkeypatch):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "qd-fool\[audit\]"'):
        separation(np.arange(3.0), np.arange(3.0), np.ones(3, bool))
