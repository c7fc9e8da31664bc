"""Whole numbers for real ones. Products of whole numbers are taken in float32."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from qd_fool.models.foreign.onnx.operator import Call, Unfit, axis_of, check_size, operator
from qd_fool.models.foreign.onnx.operators.convolution import convolution
from qd_fool.models.foreign.onnx.operators.linear import product
from qd_fool.models.foreign.onnx.values import Laid, Value, jax_dtype, lay, plain


def _spread(values: Any, call: Call, shape: tuple[int, ...]) -> Any:
    """Scales or zero points in a shape that broadcasts: one, one per channel, or one per block."""
    xp = np if isinstance(values, np.ndarray) else jnp
    if values.size == 1:
        return values.reshape(())
    axis = axis_of(call.setting("axis", 1), len(shape))
    block = call.setting("block_size", 0)
    if block:
        check_size([values.size, block])
        return xp.repeat(values, block, axis)[
            tuple(slice(n) if i == axis else slice(None) for i, n in enumerate(shape))
        ]
    return values.reshape([-1 if i == axis else 1 for i in range(len(shape))])


def _limits(dtype: Any) -> tuple[int, int]:
    known = {"int4": (-8, 7), "uint4": (0, 15), "int2": (-2, 1), "uint2": (0, 3)}
    if dtype.name in known:
        return known[dtype.name]
    if dtype.kind not in "iu":
        raise Unfit(f"numbers of the type {dtype} are not quantised here")
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


@operator("DequantizeLinear")
def _dequantize(call: Call) -> Any:
    array, scale = call.array(0), call.array(1)
    if array.dtype.kind not in "iub" and array.dtype.name not in ("int4", "uint4", "float32"):
        raise Unfit(f"numbers of the type {array.dtype} are not quantised here")
    numbers = array.astype(np.float32)
    if call.has(2):
        zero = _spread(call.array(2).astype(np.float32), call, array.shape)
        numbers = numbers - zero
    return (numbers * _spread(scale, call, array.shape)).astype(scale.dtype)


def _target(call: Call) -> np.dtype:
    if call.has(2):
        return np.dtype(call.value(2).dtype)
    number = call.setting("output_dtype", 0)
    if not number:
        return np.dtype(np.uint8)
    import onnx

    return np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))


@operator("QuantizeLinear")
def _quantize(call: Call) -> Any:
    array, scale = call.array(0), call.array(1)
    dtype = _target(call)
    low, high = _limits(dtype)
    xp = call.xp
    numbers = xp.round(array / _spread(scale, call, array.shape))
    if call.has(2):
        numbers = numbers + _spread(call.array(2).astype(np.float32), call, array.shape)
    return xp.clip(numbers, low, high).astype(dtype)


@operator("QuantizeAndBack")
def _quantize_and_back(call: Call) -> Any:
    """A QuantizeLinear and the DequantizeLinear behind it; the gradient passes the rounding.

    `quantised` makes this operator; no file has it.
    """
    array = jnp.asarray(call.array(0))
    scale = jnp.asarray(_spread(call.array(1), call, array.shape))
    low, high = _limits(_target(call))
    zero: Any = 0.0
    if call.has(2):
        zero = jnp.asarray(_spread(call.array(2).astype(np.float32), call, array.shape))
    exact = array / scale
    rounded = exact + jax.lax.stop_gradient(jnp.round(exact) - exact)
    return (jnp.clip(rounded + zero, low, high) - zero) * scale


@operator("DynamicQuantizeLinear")
def _quantize_dynamically(call: Call) -> Any:
    array = jnp.asarray(call.array(0))
    low, high = jnp.minimum(array.min(), 0), jnp.maximum(array.max(), 0)
    scale = (high - low) / 255
    scale = jnp.where(scale == 0, 1, scale)
    zero = jnp.clip(jnp.round(-low / scale), 0, 255)
    numbers = jnp.clip(jnp.round(array / scale) + zero, 0, 255)
    return numbers.astype(jnp.uint8), scale, zero.astype(jnp.uint8)


def _centred(call: Call, index: int, zero: int, *, axis: int | None = None) -> Array:
    """Whole numbers less their zero point, as float32."""
    array = jnp.asarray(call.array(index)).astype(jnp.float32)
    if not call.has(zero):
        return array
    point = jnp.asarray(call.array(zero)).astype(jnp.float32)
    if point.size == 1:
        return array - point.reshape(())
    shape = [1] * array.ndim
    shape[axis if axis is not None else -1] = -1
    return array - (point.reshape(shape) if point.ndim < 2 else point)


@operator("ConvInteger")
def _conv_integer(call: Call) -> Any:
    picture, weight = _centred(call, 0, 2), _centred(call, 1, 3, axis=0)
    made = convolution(call, lay(picture), lay(weight), None)
    return Laid(jnp.round(made.array).astype(jnp.int32), made.order)


@operator("MatMulInteger")
def _matmul_integer(call: Call) -> Any:
    a = _centred(call, 0, 2, axis=-2)
    return jnp.round(product(a, _centred(call, 1, 3, axis=-1))).astype(jnp.int32)


def _requantised(numbers: Array, scale: Any, zero: Value) -> Array:
    dtype = np.dtype(zero.dtype)
    low, high = _limits(dtype)
    point = jnp.asarray(plain(zero)).astype(jnp.float32).reshape(())
    return jnp.clip(jnp.round(numbers * scale) + point, low, high).astype(jax_dtype(dtype))


@operator("QLinearConv")
def _conv_quantised(call: Call) -> Any:
    picture, weight = _centred(call, 0, 2), _centred(call, 3, 5, axis=0)
    bias = lay(jnp.asarray(call.array(8)).astype(jnp.float32)) if call.has(8) else None
    made = convolution(call, lay(picture), lay(weight), bias)
    scale = jnp.asarray(call.array(1)).reshape(-1) * jnp.asarray(call.array(4)).reshape(-1)
    scale = scale / jnp.asarray(call.array(6)).reshape(-1)
    shape = (1,) * (made.ndim - 1) + (-1,)
    return Laid(_requantised(made.array, scale.reshape(shape), call.value(7)), made.order)


@operator("QLinearMatMul")
def _matmul_quantised(call: Call) -> Any:
    made = product(_centred(call, 0, 2, axis=-2), _centred(call, 3, 5, axis=-1))
    scale = jnp.asarray(call.array(1)) * jnp.asarray(call.array(4)) / jnp.asarray(call.array(6))
    if scale.size == 1:
        scale = scale.reshape(())
    return _requantised(made, scale, call.value(7))
