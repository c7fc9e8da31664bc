"""Log-odds as confidences, back to log-odds, and confidences as text."""

import numpy as np
import pytest

from qd_fool.scoring.confidence import confidence_of, log_odds_of, percent


def test_confidence_goes_on_where_float32_sticks():
    fitness = np.array([-np.inf, -800.0, 0.0, 20.0, 30.0], np.float32)
    confidence = confidence_of(fitness)
    assert list(confidence[:3]) == [0, 0, 0.5]
    assert confidence[3] < confidence[4] < 1


def test_log_odds_are_the_inverse_of_confidence():
    log_odds = np.linspace(-700, 30, 200)
    np.testing.assert_allclose(log_odds_of(confidence_of(log_odds)), log_odds, rtol=1e-3)
    assert log_odds_of([0.0, 0.5, 1.0]).tolist() == [-np.inf, 0.0, np.inf]
    assert log_odds_of(0.99) == pytest.approx(np.log(99))


@pytest.mark.parametrize(
    ("confidence", "digits", "text"),
    [
        (1.0, 4, "100.0000%"),
        (0.99999999, 4, "99.9999%"),
        (0.99999999, 2, "99.99%"),
        (0.5, 4, "50.0000%"),
        (0.4567, 1, "45.6%"),
        (0.0, 2, "0.00%"),
        (float("nan"), 4, "-"),
    ],
)
def test_percent_never_rounds_up_to_certainty(confidence, digits, text):
    assert percent(confidence, digits=digits) == text
