"""Normalisations, in any order of the axes."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from qd_fool.models.foreign.onnx.operator import Call, Unfit, axes_of, axis_of, operator
from qd_fool.models.foreign.onnx.values import Laid, Value, lies_as, plain

_WIDEST = 4096
"""Channels that a local normalisation looks at; each is a slice."""


def _per_channel(values: Value, value: Laid) -> Array:
    """One number per channel, in a shape that broadcasts with a picture."""
    shape = [1] * value.ndim
    shape[value.order[1]] = -1
    return jnp.asarray(plain(values)).reshape(shape)


@operator("BatchNormalization")
def _batch(call: Call) -> Laid:
    """With the statistics of the training, as a scale and a shift per channel."""
    if call.setting("training_mode", 0):
        raise Unfit("statistics of the batch: export the network for inference")
    value = call.laid(0)
    gain, shift, mean, variance = (_per_channel(call.value(i), value) for i in range(1, 5))
    scale = gain * lax.rsqrt(variance + call.setting("epsilon", 1e-5))
    made = value.array * scale + (shift - mean * scale)
    return Laid(made.astype(value.dtype), value.order)


def _standardised(array: Array, axes: Sequence[int], epsilon: float) -> Array:
    mean = array.mean(tuple(axes), keepdims=True)
    centred = array - mean
    variance = (centred * centred).mean(tuple(axes), keepdims=True)
    return centred * lax.rsqrt(variance + epsilon)


@operator("InstanceNormalization")
def _instance(call: Call) -> Laid:
    value = call.laid(0)
    places = [value.order[axis] for axis in range(2, value.ndim)]
    made = _standardised(value.array, places, call.setting("epsilon", 1e-5))
    gain, shift = (_per_channel(call.value(i), value) for i in (1, 2))
    return Laid(made * gain + shift, value.order)


@operator("GroupNormalization")
def _group(call: Call) -> Any:
    """Until version 21 gain and shift are given per group, from then on per channel."""
    array, groups = jnp.asarray(call.array(0)), call.setting("num_groups")
    n, channels, *sides = array.shape
    cut = array.reshape(n, groups, -1)
    made = _standardised(cut, [2], call.setting("epsilon", 1e-5)).reshape(array.shape)
    gain, shift = (jnp.asarray(call.array(i)) for i in (1, 2))
    if gain.shape[0] != channels:
        gain, shift = (jnp.repeat(a, channels // groups) for a in (gain, shift))
    shape = (1, channels, *(1 for _ in sides))
    return made * gain.reshape(shape) + shift.reshape(shape)


@operator("LayerNormalization")
def _layer(call: Call) -> Any:
    value = call.laid(0)
    first = axis_of(call.setting("axis", -1), value.ndim)
    places = [value.order[axis] for axis in range(first, value.ndim)]
    epsilon = call.setting("epsilon", 1e-5)
    made = _standardised(value.array, places, epsilon) * lies_as(call.value(1), value.order)
    if call.has(2):
        made = made + lies_as(call.value(2), value.order)
    result = Laid(made.astype(value.dtype), value.order)
    if len(call.node.outputs) == 1:
        return result
    mean = value.array.mean(tuple(places), keepdims=True)
    variance = value.array.var(tuple(places), keepdims=True)
    others = [Laid(a, value.order) for a in (mean, lax.rsqrt(variance + epsilon))]
    return [result, *others][: len(call.node.outputs)]


@operator("RMSNormalization", "SimplifiedLayerNormalization")
def _root_mean_square(call: Call) -> Laid:
    value = call.laid(0)
    first = axis_of(call.setting("axis", -1), value.ndim)
    places = tuple(value.order[axis] for axis in range(first, value.ndim))
    square = (value.array * value.array).mean(places, keepdims=True)
    made = value.array * lax.rsqrt(square + call.setting("epsilon", 1e-5))
    return Laid(made * lies_as(call.value(1), value.order), value.order)


@operator("MeanVarianceNormalization")
def _mean_variance(call: Call) -> Laid:
    value = call.laid(0)
    axes = axes_of(call.setting("axes", (0, 2, 3)), value.ndim)
    places = tuple(value.order[axis] for axis in axes)
    centred = value.array - value.array.mean(places, keepdims=True)
    deviation = jnp.sqrt((centred * centred).mean(places, keepdims=True))
    return Laid(centred / (deviation + 1e-9), value.order)


@operator("LpNormalization")
def _power(call: Call) -> Laid:
    value, p = call.laid(0), call.setting("p", 2)
    place = value.order[axis_of(call.setting("axis", -1), value.ndim)]
    total = (jnp.abs(value.array) ** p).sum(place, keepdims=True) ** (1 / p)
    return Laid(
        jnp.where(total == 0, 0, value.array / jnp.where(total == 0, 1, total)), value.order
    )


@operator("LRN")
def _local_response(call: Call) -> Laid:
    value, size = call.laid(0), call.setting("size")
    place = value.order[1]
    if not 1 <= size <= _WIDEST:
        raise Unfit(f"a window of {size} channels")
    before = (size - 1) // 2
    widths = [(0, 0)] * value.ndim
    widths[place] = (before, size - 1 - before)
    squares = jnp.pad(value.array * value.array, widths)
    channels = value.shape[1]
    total: Any = 0.0
    for i in range(size):
        total = total + lax.slice_in_dim(squares, i, i + channels, axis=place)
    alpha, beta, bias = (call.setting(*s) for s in (("alpha", 1e-4), ("beta", 0.75), ("bias", 1.0)))
    return Laid(value.array * (bias + alpha / size * total) ** -beta, value.order)
