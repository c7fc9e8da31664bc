"""`--fail-if`: what it accepts, what it refuses, and when it fails."""

import pytest
from audits import audit_of

from qd_fool.errors import UserError
from qd_fool.judge.audit.conditions import check_conditions, read_condition
from qd_fool.judge.audit.metrics import metrics_of

METRICS = metrics_of(audit_of([[100, 200, None, None]], right=[1, 1, 1, 0]))


@pytest.mark.parametrize(
    ("text", "failed"),
    [
        ("fooled@.99 > 10%", True),
        ("fooled@0.99>0.1", True),
        ("cppn.fooled@.99 >= 50%", True),
        ("fooled@.99 > 50%", False),
        ("accuracy < 80%", True),
        ("accuracy < 75%", False),
        ("noise@.99 <= 10%", True),
        ("evaluations@.5 < 100", True),
        ("evaluations@.99 < 2e2", False),
        ("fpr95.msp > 100%", False),
        ("CPPN.AUROC.msp < 1", True),
        ("robustness@.99 < .57", False),
    ],
)
def test_conditions(text, failed):
    (outcome,) = check_conditions([read_condition(text)], METRICS)
    assert outcome.failed is failed, outcome.words
    assert outcome.name == text


@pytest.mark.parametrize(
    "text", ["", "fooled@.99", "fooled@.99 = 1", "> 1", "accuracy < x", "a < 1.2.3"]
)
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(UserError, match="--fail-if"):
        read_condition(text)


@pytest.mark.parametrize("name", ["gradient.fooled@.99", "fooled@.95", "accuracies"])
def test_a_metric_that_was_not_measured_is_an_error(name):
    with pytest.raises(UserError, match="did not measure"):
        check_conditions([read_condition(f"{name} > 0")], METRICS)


def test_metrics_have_words_and_intervals():
    assert "cppn.fooled@.99" in METRICS
    assert "cppn.fpr95.msp" in METRICS
    for metric in METRICS.values():
        assert metric.words
        assert metric.low is None or metric.low <= metric.value <= metric.high
