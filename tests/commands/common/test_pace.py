"""How far the next compiled call goes, by what the last one took."""

import pytest

from qd_fool.commands.common.pace import next_count


@pytest.mark.parametrize(
    ("done", "seconds", "count"),
    [
        (10, 1.0, 10),  # as before: it took a second
        (10, 0.5, 20),
        (10, 4.0, 2),
        (1, 60.0, 1),  # one at least
        (10, 0.01, 64),  # as many as a call can do
        (10, 0.0, 64),
    ],
)
def test_a_call_takes_about_a_second(done, seconds, count):
    assert next_count(done, seconds, most=64) == count
