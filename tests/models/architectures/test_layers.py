"""Each form of a layer against plain NumPy, on sizes that leave a remainder."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import caffe_nets
from quick import quick_jit

from qd_fool.models.architectures.layers import (
    _xla_convolution,
    convolve,
    depthwise_by_shifts,
    local_response_norm,
    max_pool,
    pad_evenly,
    pad_same,
)
from qd_fool.models.architectures.winograd import winograd


def nchw(x):
    return np.asarray(x, np.float64).transpose(0, 3, 1, 2)


def oracle(x, kernel, *, stride, padding, groups=1):
    """The NumPy convolution, on a picture that was padded by hand; back in NHWC."""
    x = np.pad(np.asarray(x, np.float64), ((0, 0), *padding, (0, 0)))
    weight = np.asarray(kernel, np.float64).transpose(3, 2, 0, 1)
    bias = np.zeros(weight.shape[0])
    out = caffe_nets.conv(nchw(x), weight, bias, stride=stride, pad=0, group=groups)
    return out.transpose(0, 2, 3, 1)


def arrays(*shapes):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes]


def compiled(function, *arrays, **settings):
    """In one program: called eagerly, each operation would be compiled by itself."""
    return quick_jit(functools.partial(function, **settings))(*arrays)


def close(found, expected):
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("size", "stride", "pad"), [(1, 1, 0), (1, 1, 1), (3, 2, 1), (5, 1, 2)])
def test_convolution(size, stride, pad):
    x, kernel = arrays((2, 11, 9, 6), (size, size, 6, 7))
    found = compiled(convolve, x, kernel, stride=stride, padding=pad_evenly(pad))
    close(found, oracle(x, kernel, stride=stride, padding=pad_evenly(pad)))


@pytest.mark.parametrize(
    ("size", "padding"),
    [(3, ((0, 0), (0, 0))), (3, ((1, 2), (2, 1))), (5, ((1, 2), (2, 1))), (5, ((2, 2), (2, 2)))],
)
def test_wide_convolution(size, padding):
    """Winograd's form, which `convolve` takes from 32 channels on, and XLA's."""
    x, kernel = arrays((2, 9, 12, 32), (size, size, 32, 7))
    expected = oracle(x, kernel, stride=1, padding=padding)
    found = compiled(winograd, x, kernel, padding=padding)
    close(found, expected)
    close(compiled(_xla_convolution, x, kernel, stride=1, padding=padding), expected)
    np.testing.assert_array_equal(compiled(convolve, x, kernel, padding=padding), found)


@pytest.mark.parametrize("form", ["chosen", "as one"])
def test_grouped_convolution(form):
    x, kernel = arrays((2, 8, 9, 6), (3, 3, 3, 8))
    call = convolve if form == "chosen" else _xla_convolution
    found = compiled(call, x, kernel, stride=1, padding=pad_evenly(1), groups=2)
    close(found, oracle(x, kernel, stride=1, padding=pad_evenly(1), groups=2))


@pytest.mark.parametrize("form", ["chosen", "shifts", "as one"])
@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (5, 2)])
def test_depthwise_convolution(form, size, stride):
    x, kernel = arrays((2, 10, 13, 6), (size, size, 1, 6))
    padding = pad_same(10, 13, size=size, stride=stride)
    if form == "shifts":
        found = compiled(depthwise_by_shifts, x, kernel, stride=stride, padding=padding)
    else:
        call = convolve if form == "chosen" else _xla_convolution
        found = compiled(call, x, kernel, stride=stride, padding=padding, groups=6)
    close(found, oracle(x, kernel, stride=stride, padding=padding, groups=6))


def test_padding_is_tensorflows():
    """ceil(side / stride) outputs, the odd pixel below and right: 224 at 3/2 gets (0, 1)."""
    assert pad_same(224, 113, size=3, stride=2) == ((0, 1), (1, 1))
    assert pad_same(14, 15, size=5, stride=1) == ((2, 2), (2, 2))


@pytest.mark.parametrize("ceil", [True, False])
@pytest.mark.parametrize("side", [7, 8, 13])
def test_max_pool(ceil, side):
    (x,) = arrays((2, side, side + 1, 3))
    found = compiled(max_pool, x, ceil=ceil)
    expected = caffe_nets.max_pool(nchw(x), size=3, stride=2, ceil=ceil)
    np.testing.assert_array_equal(nchw(found), expected)


def test_local_response_norm():
    (x,) = arrays((1, 3, 2, 9))
    x = 30 * x
    found = compiled(local_response_norm, x)
    expected = caffe_nets.lrn(nchw(x)).transpose(0, 2, 3, 1)
    assert np.abs(expected / np.asarray(x) - 1).max() > 0.02
    close(found, expected)


def test_the_gradient_passes_alexnets_layers():
    """Against central differences; the whole network is long, in `models/test_contract.py`."""
    x, kernel, pull = arrays((1, 11, 11, 6), (3, 3, 3, 8), (1, 5, 5, 8))

    def score(x):
        y = convolve(x, kernel, stride=1, padding=pad_evenly(1), groups=2)
        return jnp.sum(max_pool(local_response_norm(jnp.maximum(y, 0)), ceil=True) * pull)

    gradient = compiled(jax.grad(score), x)
    way = jnp.asarray(np.random.default_rng(1).normal(size=x.shape), jnp.float32)
    up, down = (compiled(score, x + step * way) for step in (1e-3, -1e-3))
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(jnp.sum(gradient * way), (up - down) / 2e-3, rtol=1e-2)
