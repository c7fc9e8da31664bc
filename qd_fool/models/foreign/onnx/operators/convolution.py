"""Convolutions, in the order (n, height, width, channels) that XLA runs fastest."""

import math
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from qd_fool.models.foreign.onnx.geometry import Windows, spread, windows
from qd_fool.models.foreign.onnx.operator import Call, Unfit, check_size, operator
from qd_fool.models.foreign.onnx.project_layers import EXACT, convolve
from qd_fool.models.foreign.onnx.values import (
    Laid,
    Value,
    channels_last,
    kernel_last,
    lies_as,
)

_MOST_PLACES = 4096
"""Places of a kernel in groups; each is a slice where every channel is one."""

_FEW = 4
"""Groups that the project's layers take one by one on CPU; more take long to compile."""


@operator("Conv")
def _conv(call: Call) -> Laid:
    return convolution(call, call.value(0), call.value(1), call.value(2) if call.has(2) else None)


def convolution(call: Call, picture: Value, weight: Value, bias: Value | None) -> Laid:
    """A convolution as a node's attributes describe it.

    Args:
      call: The node.
      picture: (n, channels, *sides) as ONNX counts.
      weight: (features, channels / groups, *sides) as ONNX counts.
      bias: (features,), or None.
    """
    rank, groups = picture.ndim, call.setting("group", 1)
    if rank < 3 or weight.ndim != rank or groups < 1:
        raise Unfit(f"a convolution of {picture.shape} with {weight.shape}, {groups} groups")
    if picture.shape[1] != weight.shape[1] * groups or weight.shape[0] % groups:
        raise Unfit(f"a convolution of {picture.shape} with {weight.shape}, {groups} groups")
    found = windows(call, picture.shape[2:], weight.shape[2:])
    if groups > 1 and math.prod(found.sizes) > _MOST_PLACES:
        raise Unfit(f"a kernel of {found.sizes} in groups")
    check_size([picture.shape[0], weight.shape[0], *found.counts])
    x = jnp.asarray(lies_as(picture, channels_last(rank)))
    kernel = jnp.asarray(lies_as(weight, kernel_last(rank)))
    made = _flat(x, kernel, found, groups) if rank == 4 else _any(x, kernel, found, groups)
    if bias is not None:
        made = made + jnp.asarray(lies_as(bias, (0,))).reshape((1,) * (rank - 1) + (-1,))
    return Laid(made, channels_last(rank))


def _flat(
    x: Float[Array, "n height width channels"],
    kernel: Float[Array, "tall wide per_group features"],
    found: Windows,
    groups: int,
) -> Float[Array, "n rows columns features"]:
    """The form that is fastest for a convolution of pictures."""
    strides, dilated = found.strides, max(found.dilations) > 1
    whole = all(n % s == 0 for n, s in zip(x.shape[1:3], strides, strict=True))
    unpadded = not any(sum(pad) for pad in found.pads)
    if max(found.sizes) == 1 and unpadded:  # a matrix product at the places that count
        places = x[:, :: strides[0], :: strides[1]]
        return convolve(places, kernel, groups=groups)
    if groups == 1 and found.sizes == strides and unpadded and whole and not dilated:
        return _patches(x, kernel)
    features = kernel.shape[-1]
    if groups > _FEW and not groups == x.shape[-1] == features:
        return _any(x, kernel, found, groups)
    square = len(set(found.sizes)) == len(set(strides)) == 1
    if square and not dilated:
        return convolve(x, kernel, stride=strides[0], padding=found.pads, groups=groups)  # type: ignore[arg-type]
    if groups > 1 and groups == x.shape[-1] == features:
        return lax.platform_dependent(
            x,
            kernel,
            cpu=lambda x, kernel: _by_shifts(x, kernel, found),
            default=lambda x, kernel: _any(x, kernel, found, groups),
        )
    return _any(x, kernel, found, groups)


def _patches(
    x: Float[Array, "n height width channels"], kernel: Float[Array, "tall wide channels features"]
) -> Float[Array, "n rows columns features"]:
    """Patches that don't overlap: one matrix product."""
    tall, wide, channels, features = kernel.shape
    n, height, width, _ = x.shape
    cut = x.reshape(n, height // tall, tall, width // wide, wide, channels)
    flat = cut.transpose(0, 1, 3, 2, 4, 5).reshape(
        n, height // tall, width // wide, tall * wide * channels
    )
    weights = kernel.reshape(tall * wide * channels, features)
    return jnp.tensordot(flat, weights, 1, precision=EXACT)


def _by_shifts(x: Array, kernel: Array, found: Windows) -> Array:
    """A convolution per channel: the sum of the shifted pictures times the kernel's weights."""
    x = lax.optimization_barrier(jnp.pad(x, ((0, 0), *found.pads, (0, 0))))
    total: Any = 0.0
    for i in range(found.sizes[0]):
        for j in range(found.sizes[1]):
            shifted = x
            for axis, place in ((0, i), (1, j)):
                start, stride = place * found.dilations[axis], found.strides[axis]
                stop = start + stride * (found.counts[axis] - 1) + 1
                shifted = lax.slice_in_dim(shifted, start, stop, stride, axis + 1)
            total = total + shifted * kernel[i, j][None, None]
    return total


def _numbers(rank: int) -> lax.ConvDimensionNumbers:
    return lax.ConvDimensionNumbers(channels_last(rank), kernel_last(rank), channels_last(rank))


def _any(x: Array, kernel: Array, found: Windows, groups: int) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        found.strides,
        found.pads,
        rhs_dilation=found.dilations,
        dimension_numbers=_numbers(x.ndim),
        feature_group_count=groups,
        precision=EXACT,
    )


@operator("ConvTranspose")
def _conv_transpose(call: Call) -> Laid:
    """The gradient of a convolution: a convolution of the picture with holes between its places."""
    picture, weight, groups = call.value(0), call.value(1), call.setting("group", 1)
    rank = picture.ndim
    sides, sizes = picture.shape[2:], weight.shape[2:]
    if rank < 3 or weight.ndim != rank or groups < 1 or weight.shape[0] % groups:
        raise Unfit(f"a convolution of {picture.shape} with {weight.shape}, {groups} groups")
    strides = tuple(call.setting("strides", (1,) * (rank - 2)))
    dilations = tuple(call.setting("dilations", (1,) * (rank - 2)))
    more = tuple(call.setting("output_padding", (0,) * (rank - 2)))
    pads = _transposed_pads(call, sides, sizes, strides, dilations, more)
    check_size([picture.shape[0], *(n * s for n, s in zip(sides, strides, strict=True))])
    x = jnp.asarray(lies_as(picture, channels_last(rank)))
    # (channels, features / groups, *sides) to (*sides, channels / groups, features), turned round.
    kernel = jnp.asarray(lies_as(weight, tuple(range(rank))))
    channels, features = kernel.shape[:2]
    kernel = kernel.reshape(groups, channels // groups, features, *sizes)
    kernel = jnp.moveaxis(kernel, 0, 1).reshape(channels // groups, groups * features, *sizes)
    kernel = jnp.flip(kernel, tuple(range(2, rank))).transpose(*range(2, rank), 0, 1)
    made = lax.conv_general_dilated(
        x,
        kernel,
        (1,) * (rank - 2),
        pads,
        lhs_dilation=strides,
        rhs_dilation=dilations,
        dimension_numbers=_numbers(rank),
        feature_group_count=groups,
        precision=EXACT,
    )
    if call.has(2):
        made = made + jnp.asarray(call.array(2)).reshape((1,) * (rank - 1) + (-1,))
    return Laid(made, channels_last(rank))


def _transposed_pads(
    call: Call, sides: Any, sizes: Any, strides: Any, dilations: Any, more: Any
) -> list[tuple[int, int]]:
    """Places before and behind, so that the result has the length that ONNX states."""
    rank, auto = len(sides), call.setting("auto_pad", "NOTSET")
    pads = tuple(call.setting("pads", (0,) * 2 * rank))
    wanted = call.setting("output_shape")
    if auto.startswith("SAME") and wanted is None:
        wanted = tuple(n * s for n, s in zip(sides, strides, strict=True))
    found = []
    for i in range(rank):
        covered = spread(sizes[i], dilations[i])
        if wanted is None:
            before, after = (0, 0) if auto == "VALID" else (pads[i], pads[rank + i])
        else:
            total = strides[i] * (sides[i] - 1) + more[i] + covered - wanted[i]
            half = total // 2
            before, after = (total - half, half) if auto != "SAME_UPPER" else (half, total - half)
        if max(abs(before), abs(after), covered) > 2**16:
            raise Unfit(f"a window of {covered} with pads of {before} and {after}")
        found.append((covered - 1 - before, covered - 1 - after + more[i]))
    return found
