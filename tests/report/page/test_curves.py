"""What the charts show is what happened."""

import numpy as np
import pytest
from synthetic_run import BATCH, history

from qd_fool.report.page.curves import confidences_at, curves_of, sample_points

CLASSES = 25


@pytest.fixture(scope="module")
def run():
    events, confidences, _ = history(CLASSES, generations=30, seed=1)
    generation = np.arange(len(confidences), dtype=np.float64)
    metrics = {
        "generation": generation,
        "evaluations": (generation + 1) * BATCH,
        "median_confidence": np.median(confidences, axis=1),
        "mean_confidence": confidences.mean(axis=1),
        "min_confidence": confidences.min(axis=1),
        "max_confidence": confidences.max(axis=1),
        "cells_over_99": (confidences >= 0.99).sum(axis=1),
        "replacements": np.searchsorted(events["generation"], generation, "right") - CLASSES,
    }
    return metrics, events, confidences


def test_the_log_gives_back_every_cells_confidence(run):
    metrics, events, confidences = run
    found = confidences_at(events, metrics["generation"], cells=range(CLASSES))
    np.testing.assert_array_equal(found, confidences)
    np.testing.assert_array_equal(
        confidences_at(events, metrics["generation"][[2, 9]], cells=[7]),
        confidences[[2, 9]][:, [7]],
    )


def test_quantiles_and_cells_over_thresholds(run):
    metrics, events, confidences = run
    curves = curves_of(metrics, events, cells=range(CLASSES))
    at = sample_points(metrics["evaluations"])
    q75 = np.quantile(confidences, 0.75, axis=1)[at]
    np.testing.assert_allclose(curves["lines"]["q75"], np.log(q75 / (1 - q75)), atol=1e-3)
    assert curves["over"]["0.9"] == (confidences >= 0.9).sum(axis=1)[at].tolist()
    assert curves["evaluations"][0] == BATCH
    assert curves["evaluations"][-1] == len(confidences) * BATCH


def test_rates_add_up_to_all_that_happened(run):
    metrics, events, _ = run
    curves = curves_of(metrics, events, cells=range(CLASSES))
    edges = np.array(curves["bins"])
    total = (np.array(curves["replacements"]) * np.diff(edges) / 1000).sum()
    np.testing.assert_allclose(total, metrics["replacements"][-1], rtol=1e-3)
    bred = events["parent_class"] >= 0
    overall = (events["parent_class"] != events["class_index"])[bred].mean()
    shares = [share for share in curves["switches"] if share is not None]
    assert min(shares) - 0.01 <= overall <= max(shares) + 0.01


def test_a_log_that_lacks_the_beginning_gives_no_quantiles(run):
    metrics, events, _ = run
    late = {name: column[events["generation"] > 4] for name, column in events.items()}
    for partial in (late, None):
        curves = curves_of(metrics, partial, cells=range(CLASSES))
        assert set(curves["lines"]) == {"median", "mean", "min", "max"}
        assert set(curves["over"]) == {"0.99"}
    assert "switches" not in curves


def test_no_metrics_no_curves(run):
    nothing = {name: column[:0] for name, column in run[0].items()}
    assert curves_of(nothing, run[1], cells=[0]) == {"evaluations": []}


def test_points_are_few_ascending_and_hold_both_ends():
    points = sample_points(np.arange(50_000.0))
    assert len(points) <= 200
    assert (np.diff(points) > 0).all()
    assert (points[0], points[-1]) == (0, 49_999)
    assert sample_points(np.array([50.0])).tolist() == [0]
