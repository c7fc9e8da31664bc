"""Convolutions of other libraries by this project's layers: the same numbers, in another form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from qd_fool.models.foreign.convolutions import with_own_convolutions

RNG = np.random.default_rng(0)
PICTURES = RNG.normal(size=(2, 11, 10, 8)).astype(np.float32)


def convolved(x, kernel, *, strides=(1, 1), padding="SAME", groups=1, dilated=(1, 1), axes=None):
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        rhs_dilation=dilated,
        dimension_numbers=axes or ("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


KINDS = {
    "depthwise": ((3, 3, 1, 8), {"groups": 8}),
    "depthwise, every second place": ((3, 3, 1, 8), {"groups": 8, "strides": (2, 2)}),
    "points": ((1, 1, 8, 5), {}),
    "plain, valid": ((3, 3, 8, 5), {"padding": "VALID", "strides": (2, 2)}),
    "groups": ((3, 3, 2, 8), {"groups": 4}),
    "wide kernel": ((1, 3, 1, 8), {"groups": 8}),
    "dilated": ((3, 3, 1, 8), {"groups": 8, "dilated": (2, 2)}),
    "two strides": ((3, 3, 8, 5), {"strides": (2, 1)}),
    "two per channel": ((3, 3, 1, 16), {"groups": 8}),
    "channels first": ((3, 3, 10, 4), {"axes": ("NCHW", "HWIO", "NCHW")}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_results_and_gradients_are_those_of_the_function(kind):
    shape, flags = KINDS[kind]
    x = PICTURES.transpose(0, 2, 1, 3) if kind == "channels first" else PICTURES
    kernel = RNG.normal(size=shape).astype(np.float32)

    def network(params, x):
        inner = jax.jit(lambda x: convolved(x, params["kernel"], **flags))
        largest, _ = lax.top_k(jax.nn.relu6(inner(x)), 2)
        return {"sum": (3.0 * largest).sum(axis=-1), "same": x}

    def total(function):
        return jax.jit(jax.grad(lambda p, x: function(p, x)["sum"].sum(), argnums=(0, 1)))

    changed = with_own_convolutions(network)
    given = {"kernel": kernel}, x
    for found, expected in (
        (jax.jit(changed)(*given), network(*given)),
        (total(changed)(*given), total(network)(*given)),
    ):
        assert jax.tree.structure(found) == jax.tree.structure(expected)
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_convolutions_per_channel_are_gone_on_cpu():
    kernel = RNG.normal(size=(3, 3, 1, 8)).astype(np.float32)

    def network(x):
        return jnp.tanh(convolved(x, kernel, groups=8))

    for function, count in ((network, 1), (with_own_convolutions(network), 0)):
        program = jax.jit(function).lower(PICTURES).as_text()
        assert program.count("stablehlo.convolution") == count
