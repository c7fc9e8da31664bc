"""The activations of CPPN nodes, in float32, made to fall into the same bytes as in float64.

Source: sferes/modules/nn2/af_cppn.hpp:94-115; tanh(5s) of the Innovation Engine's no-sine set.

A byte is trunc(255 |v|), so 255 is reached only where v is exactly 1. Float32 rounds to 1 earlier
than float64. So each activation stays below 1 until float64 would be 1 as well. The limits are the
places where the formulas of the original round to 1 in double precision.
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from qd_fool.encodings.cppn.settings import ACTIVATION_NAMES

Activation = Callable[[Float[Array, "*n"]], Float[Array, "*n"]]


BELOW_ONE = np.float32(1 - 2**-24)
"""The largest float32 below 1."""

LN2 = math.log(2.0)

# sin(r) = r + r^3 q(r^2) on [-pi/2, pi/2], where q is a minimax polynomial of degree 4. The error
# before rounding is 2e-11.
SINE = (-0.16666667, 8.33333e-3, -1.984080154e-4, 2.752248065e-6, -2.384430786e-8)

# Pi in three parts. The first two parts, times a number of half turns below 2^13, are exact in
# float32.
PI_PARTS = (3.140625, 9.67502593994140625e-4, 1.509957990978376432e-7)


def sine(s: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return sin(s), to 1.3e-7 for |s| up to 20,000. Raw coordinates lead to 5000 and more.

    XLA's sine is more exact still, but several times slower on CPU.
    """
    # Subtract the nearest multiple of pi, part by part. The rest r lies in [-pi/2, pi/2].
    turns = jnp.round(s * np.float32(1 / math.pi))
    r = s
    for part in PI_PARTS:
        r = r - turns * np.float32(part)

    # The polynomial q, by Horner's rule.
    x = r * r
    q = jnp.full_like(x, np.float32(SINE[4]))
    for coefficient in SINE[3::-1]:
        q = q * x + np.float32(coefficient)
    v = r + r * (x * q)

    # An odd number of half turns changes the sign.
    v = jnp.where((turns.astype(jnp.int32) & 1) == 1, -v, v)
    return jnp.clip(v, -BELOW_ONE, BELOW_ONE)


def _squash(s: Float[Array, "*n"], *, one_from: float, minus_one_to: float) -> Float[Array, "*n"]:
    """Return tanh(s / 2): exactly 1 from one limit on, and exactly -1 up to the other."""
    # The exponential of -|s| cannot overflow.
    e = jnp.exp(jnp.where(s < 0, s, -s))
    v = jnp.minimum((1.0 - e) / (1.0 + e), BELOW_ONE)
    v = jnp.where((s < np.float32(one_from)) & (s > np.float32(minus_one_to)), v, 1.0)
    return jnp.where(s < 0, -v, v)


def sigmoid(s: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """2 (1 / (1 + exp(-s)) - 0.5), in [-1, 1]."""
    return _squash(s, one_from=53 * LN2, minus_one_to=-55 * LN2)


def gaussian(s: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """exp(-s^2), in [0, 1]."""
    v = jnp.minimum(jnp.exp(-s * s), BELOW_ONE)
    return jnp.where(jnp.abs(s) < np.float32(2**-27), 1.0, v)


def linear(s: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """clip(s, -3, 3) / 3."""
    return jnp.clip(s, -3.0, 3.0) * np.float32(1 / 3)


def tanh(s: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """tanh(5 s)."""
    return _squash(10.0 * s, one_from=55 * LN2, minus_one_to=-55 * LN2)


ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    dict(zip(ACTIVATION_NAMES, (sine, sigmoid, gaussian, linear, tanh), strict=True))
)


def at_zero(name: str) -> float:
    """Return f(0), the value of a node with no incoming edge."""
    return 1.0 if name == "gaussian" else 0.0
