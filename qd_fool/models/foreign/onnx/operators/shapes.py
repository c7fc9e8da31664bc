"""Shapes: what they are, and other forms of the same numbers."""

import math
from typing import Any

import numpy as np

from qd_fool.models.foreign.onnx.operator import (
    Call,
    Unfit,
    axes_of,
    axis_of,
    check_size,
    operator,
)
from qd_fool.models.foreign.onnx.operators.elementwise import dtype_of
from qd_fool.models.foreign.onnx.values import Laid, common_order, lies_as


@operator("Shape")
def _shape(call: Call) -> np.ndarray:
    shape = call.value(0).shape
    return np.asarray(shape[call.setting("start", 0) : call.setting("end")], np.int64)


@operator("Size")
def _size(call: Call) -> np.ndarray:
    return np.asarray(math.prod(call.value(0).shape), np.int64)


@operator("Reshape")
def _reshape(call: Call) -> Any:
    array, wanted = call.array(0), list(call.integers(1))
    if not call.setting("allowzero", 0):
        wanted = [array.shape[i] if n == 0 else n for i, n in enumerate(wanted)]
    if wanted.count(-1) > 1 or min(wanted, default=0) < -1:
        raise Unfit(f"asks for the shape {tuple(wanted)}")
    return array.reshape(wanted)


@operator("Flatten")
def _flatten(call: Call) -> Any:
    array, axis = call.array(0), call.setting("axis", 1)
    axis = axis if axis == array.ndim else axis_of(axis, array.ndim)
    return array.reshape(math.prod(array.shape[:axis]), math.prod(array.shape[axis:]))


@operator("Squeeze")
def _squeeze(call: Call) -> Any:
    array, axes = call.array(0), call.listed(1, "axes")
    return array.squeeze(None if axes is None else axes_of(axes, array.ndim))


@operator("Unsqueeze")
def _unsqueeze(call: Call) -> Any:
    array, axes = call.array(0), call.listed(1, "axes") or ()
    rank = array.ndim + len(axes)
    return call.xp.expand_dims(array, axes_of(axes, rank))


@operator("Transpose")
def _transpose(call: Call) -> Any:
    """No number moves: only the order of axes changes."""
    value = call.value(0)
    axes = axes_of(call.setting("perm", tuple(reversed(range(value.ndim)))), value.ndim)
    if sorted(axes) != list(range(value.ndim)):
        raise Unfit(f"the order {axes} of {value.ndim} axes")
    if isinstance(value, Laid):
        return Laid(value.array, tuple(value.order[axis] for axis in axes))
    return value.transpose(axes)


@operator("Concat")
def _concatenate(call: Call) -> Any:
    given = [value for value in call.inputs if value is not None]
    axis = axis_of(call.setting("axis", 1), given[0].ndim)
    length = sum(value.shape[axis] for value in given)
    check_size([length if i == axis else n for i, n in enumerate(given[0].shape)])
    if call.xp is np:
        return np.concatenate(call.arrays(), axis=axis)
    order = common_order(given)
    together = call.xp.concatenate([lies_as(value, order) for value in given], axis=order[axis])
    return Laid(together, order)


@operator("Split")
def _split(call: Call) -> Any:
    value = call.value(0)
    axis, sizes = axis_of(call.setting("axis", 0), value.ndim), call.listed(1, "split")
    length, parts = value.shape[axis], len(call.node.outputs)
    if sizes is None:
        each = -(-length // parts)
        sizes = tuple(min(each, max(length - i * each, 0)) for i in range(parts))
    if sum(sizes) != length or min(sizes) < 0:
        raise Unfit(f"parts of {sizes} from a length of {length}")
    edges = np.cumsum(sizes)[:-1].tolist()
    if not isinstance(value, Laid):
        return list(np.split(value, edges, axis))
    pieces = call.xp.split(value.array, edges, value.order[axis])
    return [Laid(piece, value.order) for piece in pieces]


@operator("Expand")
def _expand(call: Call) -> Any:
    array = call.array(0)
    shape = np.broadcast_shapes(array.shape, call.integers(1))
    check_size(shape)
    array = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    return call.xp.broadcast_to(array, shape)


@operator("Tile")
def _tile(call: Call) -> Any:
    array, repeats = call.array(0), call.integers(1)
    if len(repeats) != array.ndim or min(repeats, default=0) < 0:
        raise Unfit(f"repeats {repeats} of a value with {array.ndim} axes")
    check_size([n * times for n, times in zip(array.shape, repeats, strict=True)])
    return call.xp.tile(array, repeats)


@operator("ConstantOfShape")
def _constant_of_shape(call: Call) -> np.ndarray:
    shape = call.integers(0)
    check_size(shape)
    value = np.asarray(call.setting("value", np.zeros(1, np.float32))).reshape(-1)
    return np.full(shape, value[0], value.dtype)


@operator("Range")
def _range(call: Call) -> np.ndarray:
    bounds = [call.static(i).reshape(()).item() for i in range(3)]
    start, limit, step = bounds
    check_size([max(math.ceil((limit - start) / step), 0)])
    return np.arange(*bounds).astype(call.value(0).dtype)


@operator("EyeLike")
def _eye(call: Call) -> np.ndarray:
    rows, columns = call.value(0).shape
    check_size([rows, columns])
    number = call.setting("dtype")
    dtype = call.value(0).dtype if number is None else dtype_of(number)
    return np.eye(rows, columns, k=call.setting("k", 0), dtype=dtype)


@operator("DepthToSpace")
def _depth_to_space(call: Call) -> Any:
    array, side = call.array(0), call.setting("blocksize")
    n, channels, height, width = array.shape
    left = channels // (side * side)
    if call.setting("mode", "DCR") == "DCR":
        parts = array.reshape(n, side, side, left, height, width).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = array.reshape(n, left, side, side, height, width).transpose(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, left, height * side, width * side)


@operator("SpaceToDepth")
def _space_to_depth(call: Call) -> Any:
    array, side = call.array(0), call.setting("blocksize")
    n, channels, height, width = array.shape
    parts = array.reshape(n, channels, height // side, side, width // side, side)
    depth_first = call.setting("mode", "DCR") == "DCR"
    axes = (0, 3, 5, 1, 2, 4) if depth_first else (0, 1, 3, 5, 2, 4)
    return parts.transpose(axes).reshape(n, channels * side * side, height // side, width // side)
