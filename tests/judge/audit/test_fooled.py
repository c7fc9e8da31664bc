"""Counts of fooled classes and evaluations until then."""

import numpy as np
import pytest
from audits import BUDGET, method_of

from qd_fool.judge.audit.fooled import fooled_by_showing


def test_counts_medians_and_parts_of_the_budget():
    method = method_of([[100, 200, None, None], [300, 400, 500, None]])
    last = method.fooled[-1]
    assert (last.threshold, last.count, last.tried) == (0.99, 2.5, 4)
    assert last.share.value == 0.625
    parts = [0.1, 0.2, 1, 1, 0.3, 0.4, 0.5, 1]
    assert last.robustness.value == pytest.approx(np.mean(parts))
    assert last.median_evaluations == 400
    assert BUDGET == 1000


def test_a_median_beyond_the_budget_is_not_a_number():
    assert method_of([[100, None, None]]).fooled[-1].median_evaluations is None


def test_weakest_and_strongest_classes():
    method = method_of([[500, 100, None, 300]])
    assert method.weakest == (1, 3)
    assert method.strongest == (2, 0)


def test_pictures_that_are_shown_are_counted():
    counts = fooled_by_showing(np.array([0.2, 0.5, 0.95, 0.99]))
    assert [(each.count, each.tried) for each in counts] == [(3, 4), (2, 4), (1, 4)]
    assert counts[0].median_evaluations is counts[0].robustness is None
