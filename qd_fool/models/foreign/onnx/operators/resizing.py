"""Pictures of another size: one matrix per side, so that all of it has a gradient."""

import functools
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float64

from qd_fool.models.foreign.onnx.operator import Call, Unfit, axes_of, check_size, operator
from qd_fool.models.foreign.onnx.project_layers import EXACT
from qd_fool.models.foreign.onnx.values import Laid


@operator("Upsample")
def _upsample(call: Call) -> Laid:
    scales = call.static(1).tolist() if call.has(1) else list(call.setting("scales", ()))
    value = call.laid(0)
    if len(scales) != value.ndim:
        raise Unfit(f"{len(scales)} scales for {value.ndim} axes")
    sizes = [int(np.floor(n * s)) for n, s in zip(value.shape, scales, strict=True)]
    return _resized(call, value, range(value.ndim), sizes, scales, "asymmetric", None)


@operator("Resize")
def _resize(call: Call) -> Laid:
    value = call.laid(0)
    axes = axes_of(call.setting("axes", range(value.ndim)), value.ndim)
    lengths = [value.shape[axis] for axis in axes]
    if call.opset < 11:
        scales, sizes, way = call.static(1).tolist(), None, "asymmetric"
    else:
        way = call.setting("coordinate_transformation_mode", "half_pixel")
        scales = call.static(2).tolist() if call.has(2) and call.static(2).size else None
        sizes = list(call.integers(3)) if call.has(3) and call.static(3).size else None
    if sizes is not None:
        sizes, scales = _kept(call, lengths, sizes)
    elif scales is not None:
        sizes = [int(np.floor(n * s)) for n, s in zip(lengths, scales, strict=True)]
    else:
        raise Unfit("neither scales nor sizes")
    roi = call.static(1).tolist() if way == "tf_crop_and_resize" else None
    return _resized(call, value, axes, sizes, scales, way, roi)


def _kept(call: Call, lengths: list[int], sizes: list[int]) -> tuple[list[int], list[float]]:
    """Sizes and scales, perhaps with one scale for all sides."""
    scales = [size / length for size, length in zip(sizes, lengths, strict=True)]
    policy = call.setting("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return sizes, scales
    scale = min(scales) if policy == "not_larger" else max(scales)
    return [int(np.floor(scale * n + 0.5)) for n in lengths], [scale] * len(lengths)


def _resized(
    call: Call, value: Laid, axes: Any, sizes: Any, scales: Any, way: str, roi: Any
) -> Laid:
    array = value.array
    shape = list(value.shape)
    for i, axis in enumerate(axes):
        if min(sizes[i], scales[i]) <= 0:
            raise Unfit(f"a side of {sizes[i]} from one of {shape[axis]}")
        if sizes[i] == shape[axis] and scales[i] == 1 and roi is None:
            continue
        window = None if roi is None else (roi[i], roi[len(roi) // 2 + i])
        check_size([sizes[i], shape[axis]])
        places = _coordinates(shape[axis], sizes[i], scales[i], way, window)
        matrix = _matrix(call, places, shape[axis], scales[i])
        place = value.order[axis]
        outside = (places < 0) | (places > shape[axis] - 1)
        shape[axis] = sizes[i]
        check_size(shape)
        made = jnp.tensordot(
            jnp.asarray(matrix, jnp.float32),
            jnp.moveaxis(array, place, 0).astype(jnp.float32),
            1,
            precision=EXACT,
        )
        if roi is not None:
            blank = np.reshape(outside, (-1,) + (1,) * (made.ndim - 1))
            made = jnp.where(blank, call.setting("extrapolation_value", 0.0), made)
        array = jnp.moveaxis(made, 0, place).astype(value.dtype)
    return Laid(array, value.order)


def _coordinates(
    length: int, size: int, scale: float, way: str, window: tuple[float, float] | None
) -> Float64[np.ndarray, " size"]:
    """Where each new place lies on the old side."""
    x = np.arange(size, dtype=np.float64)
    if way == "half_pixel":
        return (x + 0.5) / scale - 0.5
    if way == "half_pixel_symmetric":
        adjust = size / (scale * length)
        return length / 2 * (1 - adjust) + (x + 0.5) / scale - 0.5
    if way == "pytorch_half_pixel":
        return (x + 0.5) / scale - 0.5 if size > 1 else np.zeros(1)
    if way == "asymmetric":
        return x / scale
    if way == "align_corners":
        return x * (length - 1) / (scale * length - 1) if size > 1 else np.zeros(1)
    if way == "tf_crop_and_resize" and window is not None:
        start, end = window
        if size > 1:
            return start * (length - 1) + x * (end - start) * (length - 1) / (size - 1)
        return np.full(1, 0.5 * (start + end) * (length - 1))
    raise Unfit(f"the coordinate transformation {way!r}")


def _matrix(
    call: Call, places: np.ndarray, length: int, scale: float
) -> Float64[np.ndarray, "size length"]:
    """How much each old place counts for each new one."""
    mode = call.setting("mode", "nearest")
    if mode == "nearest":
        matrix = np.zeros((len(places), length))
        matrix[np.arange(len(places)), _nearest(call, places, length)] = 1
        return matrix

    weigh: Callable[[np.ndarray], np.ndarray]
    wide = min(scale, 1.0) if call.setting("antialias", 0) else 1.0
    if mode == "linear":
        reach, weigh = 1.0, _tent
    elif mode == "cubic":
        a = call.setting("cubic_coeff_a", -0.75)
        reach, weigh = 2.0, functools.partial(_cubic, a=a)
    else:
        raise Unfit(f"the mode {mode!r}")
    steps = int(np.ceil(reach / wide)) + 1
    first = np.floor(places).astype(np.int64)
    near = first[:, None] + np.arange(-steps, steps + 1)[None]
    weights = weigh(np.abs(near - places[:, None]) * wide)
    inside = (near >= 0) & (near < length)
    if call.setting("exclude_outside", 0):
        weights = np.where(inside, weights, 0)
    weights = weights / weights.sum(1, keepdims=True)
    matrix = np.zeros((len(places), length))
    rows = np.broadcast_to(np.arange(len(places))[:, None], near.shape)
    np.add.at(matrix, (rows, np.clip(near, 0, length - 1)), weights)
    return matrix


def _tent(d: np.ndarray) -> np.ndarray:
    """The linear kernel at distances."""
    return np.maximum(1 - d, 0)


def _cubic(d: np.ndarray, a: float) -> np.ndarray:
    """Keys' kernel at distances."""
    inner = ((a + 2) * d - (a + 3)) * d * d + 1
    outer = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, inner, np.where(d < 2, outer, 0))


def _nearest(call: Call, places: np.ndarray, length: int) -> np.ndarray:
    mode = call.setting("nearest_mode", "round_prefer_floor" if call.opset >= 11 else "floor")
    ways: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    return np.clip(ways[mode](places), 0, length - 1).astype(np.int64)
