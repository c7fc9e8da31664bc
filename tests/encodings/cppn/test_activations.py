import math

import jax
import numpy as np
import pytest
from oracles.cppn_walker import ACTIVATIONS as ORACLES

from qd_fool.encodings.cppn.activations import ACTIVATIONS, at_zero

# Where a value becomes exactly 1 hangs on the last bit of `exp` and `tanh`. NumPy's vectorised ones
# differ there between instruction sets; those of `math` do not.
EXACT = {
    "sine": math.sin,
    "sigmoid": lambda x: 2.0 * (1.0 / (1.0 + math.exp(-x)) - 0.5),
    "gaussian": lambda x: math.exp(-(x * x)),
    "linear": lambda x: min(max(x, -3.0), 3.0) / 3.0,
    "tanh": lambda x: math.tanh(5.0 * x),
}


COMPILED = {name: jax.jit(function) for name, function in ACTIVATIONS.items()}


def gradients(name, s):
    return np.asarray(jax.jit(jax.vmap(jax.grad(lambda s: ACTIVATIONS[name](s[None])[0])))(s))


@pytest.mark.parametrize("name", list(ACTIVATIONS))
@pytest.mark.parametrize("scale", [1.0, 3.0, 40.0, 5000.0, 20_000.0])
def test_as_in_float64_to_a_few_units_in_the_last_place(name, scale):
    s = np.random.default_rng(0).uniform(-scale, scale, 300_000).astype(np.float32)
    found = np.asarray(COMPILED[name](s), np.float64)
    assert np.abs(found - ORACLES[name](s.astype(np.float64))).max() < 1.8e-7
    assert np.abs(found).max() <= 1.0


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_bytes_saturate_where_float64_saturates(name):
    """trunc(255 |v|) is 255 only where v is exactly 1; float32 alone would get there sooner."""
    s = np.concatenate([np.linspace(-45, 45, 200_001), np.geomspace(1e-12, 1e-3, 10_000)])
    s = s.astype(np.float32)
    reference = np.array([abs(EXACT[name](x)) == 1 for x in s.tolist()])
    found = np.abs(np.asarray(COMPILED[name](s))) == 1
    # Next to a limit the input itself has only float32's precision.
    assert np.sum(reference != found) <= 4
    assert reference.any() or name == "sine"


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_value_and_gradient_at_zero(name):
    assert (
        float(COMPILED[name](np.zeros(1, "f4"))[0]) == at_zero(name) == ORACLES[name](np.zeros(1))
    )
    (gradient,) = gradients(name, np.zeros(1, "f4"))
    slope = (ORACLES[name](np.array(1e-6)) - ORACLES[name](np.array(-1e-6))) / 2e-6
    assert abs(gradient - slope) < 1e-5


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_gradients_are_those_of_the_formula(name):
    s = np.random.default_rng(1).uniform(-6, 6, 2000)
    s = s[np.abs(np.abs(s) - 3) > 1e-3]
    slope = (ORACLES[name](s + 1e-6) - ORACLES[name](s - 1e-6)) / 2e-6
    assert np.abs(gradients(name, s.astype(np.float32)) - slope).max() < 2e-5
