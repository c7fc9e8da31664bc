"""Numbers taken from places, and put there."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qd_fool.models.foreign.onnx.operator import Call, Unfit, axis_of, check_size, operator
from qd_fool.models.foreign.onnx.values import Laid, without


def _indices(call: Call, index: int, length: int) -> Any:
    """Places counted from the front; outside of the axis is an error where it is known."""
    found = call.array(index)
    if isinstance(found, np.ndarray):
        if found.size and not (-length <= found.min() and found.max() < length):
            raise Unfit(f"places {found.min()} to {found.max()} on an axis of {length}")
        return np.where(found < 0, found + length, found)
    return jnp.where(found < 0, found + length, found)


@operator("Gather")
def _gather(call: Call) -> Any:
    value = call.value(0)
    axis = axis_of(call.setting("axis", 0), value.ndim)
    places = _indices(call, 1, value.shape[axis])
    check_size([*value.shape[:axis], *places.shape, *value.shape[axis + 1 :]])
    if isinstance(places, np.ndarray) and places.ndim == 0 and isinstance(value, Laid):
        taken = jax.lax.index_in_dim(value.array, int(places), value.order[axis], keepdims=False)
        return Laid(taken, without(value.order, [axis]))
    if call.xp is np:
        return np.take(call.static(0), places, axis)
    return jnp.take(jnp.asarray(call.array(0)), jnp.asarray(places), axis, mode="clip")


@operator("GatherElements")
def _gather_elements(call: Call) -> Any:
    array = call.array(0)
    axis = axis_of(call.setting("axis", 0), array.ndim)
    places = _indices(call, 1, array.shape[axis])
    if call.xp is np:
        return np.take_along_axis(array, places, axis)
    cut = tuple(slice(None) if i == axis else slice(n) for i, n in enumerate(places.shape))
    return jnp.take_along_axis(jnp.asarray(array)[cut], jnp.asarray(places), axis, mode="clip")


@operator("GatherND")
def _gather_nd(call: Call) -> Any:
    array, places, batch = call.array(0), call.array(1), call.setting("batch_dims", 0)
    check_size([*places.shape[:-1], *array.shape[batch + places.shape[-1] :]])

    def one(array: Any, places: Any) -> Any:
        return jnp.asarray(array)[tuple(jnp.moveaxis(jnp.asarray(places), -1, 0))]

    for _ in range(batch):
        one = jax.vmap(one)
    return one(array, places)


@operator("ScatterND")
def _scatter_nd(call: Call) -> Any:
    array, places, updates = (jnp.asarray(call.array(i)) for i in range(3))
    at = array.at[tuple(jnp.moveaxis(places, -1, 0))]
    return _put(at, updates, call.setting("reduction", "none"))


@operator("ScatterElements", "Scatter")
def _scatter_elements(call: Call) -> Any:
    array, places, updates = (jnp.asarray(call.array(i)) for i in range(3))
    axis = axis_of(call.setting("axis", 0), array.ndim)
    places = jnp.where(places < 0, places + array.shape[axis], places)
    grid = list(jnp.meshgrid(*(jnp.arange(n) for n in places.shape), indexing="ij"))
    grid[axis] = places
    return _put(array.at[tuple(grid)], updates, call.setting("reduction", "none"))


def _put(at: Any, updates: Any, how: str) -> Any:
    ways = {"none": at.set, "add": at.add, "mul": at.multiply, "max": at.max, "min": at.min}
    return ways[how](updates)


@operator("OneHot")
def _one_hot(call: Call) -> Any:
    places, depth, values = call.array(0), int(call.static(1).reshape(())), call.array(2)
    axis = call.setting("axis", -1)
    axis = axis_of(axis, places.ndim + 1)
    check_size([*places.shape, max(depth, 0)])
    places = jnp.asarray(places)
    places = jnp.where(places < 0, places + depth, places)
    hot = jax.nn.one_hot(places, depth, axis=axis, dtype=bool)
    values = jnp.asarray(values)
    return jnp.where(hot, values[1], values[0])


@operator("NonZero")
def _non_zero(call: Call) -> np.ndarray:
    """The shape of the result depends on the numbers, so they must be known."""
    return np.asarray(np.nonzero(call.static(0)), np.int64)


@operator("TopK")
def _top(call: Call) -> Any:
    array = call.array(0)
    axis = axis_of(call.setting("axis", -1), array.ndim)
    k = int(call.static(1).reshape(())) if call.has(1) else int(call.setting("k", 1))
    moved = jnp.moveaxis(jnp.asarray(array), axis, -1)
    largest = bool(call.setting("largest", 1))
    order = jnp.argsort(moved, axis=-1, descending=largest, stable=True)[..., :k]
    values = jnp.take_along_axis(moved, order, -1)
    return jnp.moveaxis(values, -1, axis), jnp.moveaxis(order, -1, axis)
