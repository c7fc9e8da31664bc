"""Parts of a value: slices, borders, triangles."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from qd_fool.models.foreign.onnx.operator import (
    Call,
    Unfit,
    axes_of,
    axis_of,
    check_size,
    operator,
)
from qd_fool.models.foreign.onnx.values import Laid, identity

_MODES = {"constant": "constant", "reflect": "reflect", "edge": "edge", "wrap": "wrap"}


@operator("Slice")
def _slice(call: Call) -> Any:
    """Bounds are attributes until version 10, inputs from then on."""
    value = call.value(0)
    starts, ends = call.listed(1, "starts"), call.listed(2, "ends")
    if starts is None or ends is None:
        raise Unfit("a slice without bounds")
    axes = axes_of(call.listed(3, "axes") or range(len(starts)), value.ndim)
    steps = call.integers(4) if call.has(4) else (1,) * len(starts)
    array: Any
    array, order = (
        (value.array, value.order) if isinstance(value, Laid) else (value, identity(value.ndim))
    )
    index: list[slice] = [slice(None)] * value.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        index[order[axis]] = _bounds(start, end, step, value.shape[axis])
    cut = array[tuple(index)]
    return Laid(cut, order) if isinstance(value, Laid) else cut


def _bounds(start: int, end: int, step: int, length: int) -> slice:
    """ONNX's bounds, which may lie far outside, as Python's."""
    if step == 0:
        raise Unfit("a step of 0")
    if end < 0:
        end = max(end + length, -1)  # -1: before the first
    if start < 0:
        start = max(start + length, 0)
    if step > 0:
        return slice(min(start, length), min(max(end, 0), length), step)
    stop = min(end, length)
    return slice(min(start, length - 1), None if stop < 0 else stop, step)


@operator("Pad")
def _pad(call: Call) -> Any:
    value, pads = call.value(0), call.listed(1, "pads")
    if pads is None:
        raise Unfit("a border without widths")
    rank = value.ndim
    axes = axes_of(call.integers(3), rank) if call.has(3) else tuple(range(rank))
    if len(pads) != 2 * len(axes):
        raise Unfit(f"{len(pads)} widths for {len(axes)} axes")
    each = {axis: (pads[i], pads[len(axes) + i]) for i, axis in enumerate(axes)}
    widths = [each.get(axis, (0, 0)) for axis in range(rank)]
    check_size([n + sum(w) for n, w in zip(value.shape, widths, strict=True)])
    mode = _MODES.get(call.setting("mode", "constant"), "")
    if not mode:
        raise Unfit(f"borders of mode {call.setting('mode')!r}")
    fill: Any = call.setting("value", 0.0)
    if call.opset >= 11:
        fill = call.array(2).reshape(()) if call.has(2) else 0
    # Negative widths cut.
    cut = tuple(
        slice(max(-before, 0), n - max(-after, 0))
        for n, (before, after) in zip(value.shape, widths, strict=True)
    )
    more = [(max(before, 0), max(after, 0)) for before, after in widths]
    options: Any = {"constant_values": fill} if mode == "constant" else {}
    if not isinstance(value, Laid) and call.xp is np:
        return np.pad(value[cut], more, mode=mode, **options)  # type: ignore[call-overload]
    laid = call.laid(0)
    places = _by_place(laid.order, list(zip(cut, more, strict=True)))
    array = laid.array[tuple(part for part, _ in places)]
    return Laid(jnp.pad(array, [width for _, width in places], mode=mode, **options), laid.order)


def _by_place(order: Sequence[int], each: list[Any]) -> list[Any]:
    """One thing per axis as ONNX counts, in the order in which the axes lie."""
    placed: list[Any] = [None] * len(order)
    for axis, place in enumerate(order):
        placed[place] = each[axis]
    return placed


@operator("Trilu")
def _triangle(call: Call) -> Any:
    k = int(call.static(1).reshape(())) if call.has(1) else 0
    array = call.array(0)
    keep = (np.triu if call.setting("upper", 1) else np.tril)(np.ones(array.shape[-2:], bool), k)
    keep = np.broadcast_to(keep, array.shape)
    return call.xp.where(keep, array, np.zeros((), array.dtype))


@operator("CumSum")
def _running_sum(call: Call) -> Any:
    array = call.array(0)
    axis = axis_of(int(call.static(1).reshape(())), array.ndim)
    back = bool(call.setting("reverse", 0))
    array = call.xp.flip(array, axis) if back else array
    total = call.xp.cumsum(array, axis=axis).astype(array.dtype)
    if call.setting("exclusive", 0):
        total = total - array
    return call.xp.flip(total, axis) if back else total
