"""The table that an ascent prints, and what it says in words."""

import numpy as np
import pytest

from qd_fool.ascent.blocks import AscentResult
from qd_fool.commands.ascend.table import summary, table_rows


def test_what_the_table_says():
    odds = np.log(np.array([[1e-3, 0.5, 1e5, 10], [1e-3, 200, 20, 1e-2]], np.float32)).T
    top = np.array([[False, True, True, True], [False, False, True, False]]).T
    last = odds.max(axis=0)
    result = AscentResult(
        np.zeros((2, 1)), last, odds.argmax(axis=0), odds, odds, top, np.ones(2), np.ones(2)
    )
    rows = table_rows(result, np.array([4, 1]), np.array([0, 0]), list("abcde"))
    firsts = [[row[f"first_{name}"] for name in ("top", "99", "999", "9999")] for row in rows]
    assert firsts == [[1, 2, 2, 2], [2, 1, None, None]]
    assert rows[0]["label"] == "e"
    assert rows[0]["final_confidence"] == pytest.approx(10 / 11)
    assert rows[1]["best_iteration"] == 1
    said = summary(rows, most=4)
    assert said[0] == "2 of 2 >= 0.99; median steps 1.5"
    assert said[1] == "1 of 2 >= 0.999; median steps 3"
