"""A baseline: which differences fail an audit, and which do not."""

import dataclasses

import numpy as np
import pytest
from audits import audit_of, photographs_of

from qd_fool.errors import UserError
from qd_fool.judge.audit.comparison import compare, outcomes_of
from qd_fool.judge.intervals import Value

FIRST = [[500, 600, 700, 800, 900, 650, 750, None, None, None]] * 3
GOOD = np.arange(400) % 50 > 0
BEFORE = audit_of(FIRST, right=GOOD)


def failed(now, before=BEFORE, margin=0.05):
    outcomes = outcomes_of(compare(now, before), margin=margin)
    return [outcome.name.removeprefix("regression of ") for outcome in outcomes if outcome.failed]


def test_equal_audits_pass():
    assert failed(BEFORE) == []
    assert all(d.worse == 0 for d in compare(BEFORE, BEFORE))


def test_lost_accuracy_fails():
    worse = GOOD & (np.arange(400) % 10 > 0)
    assert failed(audit_of(FIRST, right=worse)) == ["accuracy"]


def test_a_difference_below_the_margin_passes():
    worse = GOOD & (np.arange(400) % 10 > 0)
    assert failed(audit_of(FIRST, right=worse), margin=0.2) == []


def test_a_difference_of_few_photographs_may_be_chance():
    before = audit_of(FIRST, right=[1, 1, 1, 1, 0, 1])
    assert failed(audit_of(FIRST, right=[1, 1, 1, 0, 0, 1]), before) == []


def test_a_larger_calibration_error_fails():
    now = dataclasses.replace(BEFORE, photographs=photographs_of(GOOD, ece=Value(0.1, 0.08, 0.12)))
    assert failed(now) == ["ece"]


def test_faster_fooling_fails_by_survival_times():
    faster = [[None if n is None else n // 4 for n in row] for row in FIRST]
    assert failed(audit_of(faster, right=GOOD)) == ["cppn.robustness@.99"]


def test_classes_that_were_never_fooled_before_count_as_fooled_sooner():
    more = [[400, 500, 600, 700, 800, 550, 650, 850, 860, 870]] * 3
    assert failed(audit_of(more, right=GOOD)) == ["cppn.robustness@.99"]


def test_one_class_alone_may_be_chance():
    one = [[10, 600, 700, 800, 900, 650, 750, None, None, None]] * 3
    assert failed(audit_of(one, right=GOOD), margin=0.01) == []


def test_what_became_better_passes():
    slower = [[None if n is None else min(999, n + 90) for n in row] for row in FIRST]
    assert failed(audit_of(slower, right=np.ones(400))) == []


def test_probabilities_are_corrected_for_the_number_of_metrics():
    faster = [[None if n is None else n - 10 for n in row] for row in FIRST]
    differences = compare(audit_of(faster, right=GOOD), BEFORE)
    p = {d.metric: d.p for d in differences}
    assert list(p) == ["accuracy", "ece", "cppn.robustness@.99"]
    # Seven of ten classes: the signed-rank test gives 2^-7 at best.
    assert p["cppn.robustness@.99"] == pytest.approx(3 * 2.0**-7, rel=0.2)
    assert all(0 <= value <= 1 for value in p.values())


@pytest.mark.parametrize(
    "other",
    [
        audit_of([row[:9] for row in FIRST], right=GOOD),
        audit_of(FIRST[:2], right=GOOD),
        dataclasses.replace(
            BEFORE, photographs=dataclasses.replace(BEFORE.photographs, sha256="1" * 64)
        ),
    ],
    ids=["classes", "seeds", "photographs"],
)
def test_audits_that_cannot_be_compared_are_refused(other):
    with pytest.raises(UserError, match="--baseline: its"):
        compare(BEFORE, other)
