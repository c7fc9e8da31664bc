"""An ascent against a network on the host: as against the same network in JAX."""

import numpy as np
import on_host
import pytest
import tiny

import qd_fool
from qd_fool.errors import UserError


def climbed(scorer, **fields):
    encoding = qd_fool.make_encoding("direct", scorer.image_shape)
    config = qd_fool.AscentConfig(**{"chunk": 4, "iterations": 5, "lr": 4.0} | fields)
    return qd_fool.ascend(scorer, encoding, [0, 1, 2, 3, 4, 1], config=config)


@pytest.mark.parametrize(
    "objective",
    ["probability", *(pytest.param(o, marks=pytest.mark.long) for o in ("log-odds", "logit"))],
)
def test_the_iterates_are_those_in_jax(objective):
    host = climbed(on_host.with_gradient(), objective=objective)
    native = climbed(tiny.linear_scorer(), objective=objective)
    np.testing.assert_allclose(host.log_odds, native.log_odds, atol=1e-4)
    np.testing.assert_array_equal(host.top, native.top)
    assert (host.best_log_odds > host.log_odds[0]).all()


def test_a_network_without_a_gradient_is_refused():
    with pytest.raises(UserError, match="logits has no gradient to climb"):
        climbed(on_host.plain())


def test_a_network_has_no_layers_to_climb():
    with pytest.raises(UserError, match="has no layer 'conv'"):
        climbed(on_host.with_gradient(), objective="conv:1")
