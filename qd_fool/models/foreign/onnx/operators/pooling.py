"""Pools: maxima and means of windows, as strided slices that XLA fuses with their surroundings."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from qd_fool.models.foreign.onnx.geometry import Windows, spread, windows
from qd_fool.models.foreign.onnx.operator import Call, Unfit, operator
from qd_fool.models.foreign.onnx.values import Laid, channels_last, lies_as

_WIDEST = 64
"""Places along a side of a window; each is a slice of its own."""


def _pooled(
    call: Call, fill: Any, join: Callable[[Array, Array], Array], before: Any = None
) -> tuple[Laid, Windows]:
    """Join the places of each window, along one side after the other."""
    value = call.laid(0)
    rank = value.ndim
    sizes = call.setting("kernel_shape", ())
    found = windows(call, value.shape[2:], sizes)
    x = jnp.asarray(lies_as(value, channels_last(rank)))
    x = x if before is None else before(x)
    if max(found.sizes) > _WIDEST:
        raise Unfit(f"windows of {found.sizes}")
    ends = []
    for i, (front, back) in enumerate(found.pads):
        last = (found.counts[i] - 1) * found.strides[i] + spread(found.sizes[i], found.dilations[i])
        ends.append((front, max(back, last - x.shape[1 + i] - front)))
    if any(sum(end) for end in ends):
        x = jnp.pad(x, ((0, 0), *ends, (0, 0)), constant_values=fill)
    for i, count in enumerate(found.counts):
        slices = []
        for place in range(found.sizes[i]):
            start = place * found.dilations[i]
            stop = start + found.strides[i] * (count - 1) + 1
            slices.append(lax.slice_in_dim(x, start, stop, found.strides[i], 1 + i))
        x = functools.reduce(join, slices)
    return Laid(x, channels_last(rank)), found


@operator("MaxPool")
def _max_pool(call: Call) -> Laid:
    if len(call.node.outputs) > 1:
        raise Unfit("the places of the maxima are not given")
    dtype = call.value(0).dtype
    floating = jnp.issubdtype(dtype, jnp.floating)
    least = -np.inf if floating else np.iinfo(dtype).min
    return _pooled(call, least, jnp.maximum)[0]


@operator("AveragePool")
def _average_pool(call: Call) -> Laid:
    value = call.laid(0)
    whole = tuple(call.setting("kernel_shape", ())) == value.shape[2:]
    if whole and not any(call.setting("pads", ())) and call.setting("auto_pad") is None:
        return _over_sides(value, jnp.mean)
    total, found = _pooled(call, 0, jnp.add)
    counts = np.ones((1,) * value.ndim, np.float32)
    for i, side in enumerate(value.shape[2:]):
        front, back = found.pads[i] if call.setting("count_include_pad", 0) else (0, 0)
        starts = np.arange(found.counts[i]) * found.strides[i] - found.pads[i][0]
        places = starts[:, None] + np.arange(found.sizes[i])[None] * found.dilations[i]
        inside = ((places >= -front) & (places < side + back)).sum(1)
        shape = [1] * value.ndim
        shape[1 + i] = -1
        counts = counts * inside.reshape(shape).astype(np.float32)
    share = np.asarray(1 / np.maximum(counts, 1), total.dtype)
    return Laid(total.array * share, total.order)


@operator("LpPool")
def _power_pool(call: Call) -> Laid:
    p = call.setting("p", 2)
    total, _ = _pooled(call, 0, jnp.add, before=lambda a: jnp.abs(a) ** p)
    return Laid(total.array ** (1 / p), total.order)


def _over_sides(value: Laid, function: Callable[..., Array]) -> Laid:
    """Reduce all sides to one place each, in any order of the axes."""
    places = tuple(value.order[axis] for axis in range(2, value.ndim))
    return Laid(function(value.array, axis=places, keepdims=True), value.order)


@operator("GlobalAveragePool")
def _global_average(call: Call) -> Laid:
    return _over_sides(call.laid(0), jnp.mean)


@operator("GlobalMaxPool")
def _global_max(call: Call) -> Laid:
    return _over_sides(call.laid(0), jnp.max)


@operator("GlobalLpPool")
def _global_power(call: Call) -> Laid:
    p = call.setting("p", 2)

    def norm(array: Array, axis: tuple[int, ...], keepdims: bool) -> Array:
        return (jnp.abs(array) ** p).sum(axis, keepdims=keepdims) ** (1 / p)

    return _over_sides(call.laid(0), norm)
