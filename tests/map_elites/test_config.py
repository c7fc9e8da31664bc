"""Settings that are refused, and what a configuration costs."""

import pytest
from tiny import tiny

from qd_fool import map_elites as me
from qd_fool.errors import UserError


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"chunk": 0}, "chunk is 0"),
        ({"archive_rule": "best"}, "archive rule is 'best': expected one of all, argmax"),
    ],
)
def test_settings_out_of_range(fields, message):
    with pytest.raises(UserError, match=message):
        me.MapElitesConfig(**fields)


@pytest.mark.parametrize("evaluations", [1, 40, 59, 60, 61, 1000])
def test_generations_are_those_that_evaluations_pay_for(evaluations):
    _, encoding, config = tiny()
    generations = me.generations_for(config, evaluations, encoding=encoding)
    assert generations == max(1, evaluations // 20 - 1)
    after = me.counted_evaluations(config, generations, encoding=encoding)
    assert after <= max(evaluations, 40) < after + 20
