"""Log-odds as confidences, and confidences as text."""

import numpy as np
import pytest

from qd_fool.scoring.confidence import confidence_of, percent


def test_confidence_goes_on_where_float32_sticks():
    fitness = np.array([-np.inf, -800.0, 0.0, 20.0, 30.0], np.float32)
    confidence = confidence_of(fitness)
    assert list(confidence[:3]) == [0, 0, 0.5]
    assert confidence[3] < confidence[4] < 1


@pytest.mark.parametrize(
    ("confidence", "text"),
    [
        (1.0, "100.0000%"),
        (0.99999999, "99.9999%"),
        (0.5, "50.0000%"),
        (0.0, "0.0000%"),
    ],
)
def test_percent_never_rounds_up_to_certainty(confidence, text):
    assert percent(confidence) == text
