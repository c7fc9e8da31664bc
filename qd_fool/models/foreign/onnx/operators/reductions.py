"""Sums, means, extremes and softmax along axes, in any order of the axes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qd_fool.models.foreign.onnx.operator import Call, axes_of, axis_of, operator
from qd_fool.models.foreign.onnx.values import Laid, without


def _reduction(
    name: str, function: Callable[..., Any], *, before: Callable[[Any], Any] | None = None
) -> None:
    """Enter `function(xp, array, axes, keepdims)`; `before` is applied to the numbers first."""

    @operator(name)
    def run(call: Call) -> Any:
        value = call.value(0)
        axes, keep = call.listed(1, "axes"), bool(call.setting("keepdims", 1))
        if not axes:
            if call.setting("noop_with_empty_axes", 0):
                return value if before is None else before(call.array(0))
            axes = tuple(range(value.ndim))
        axes = axes_of(axes, value.ndim)
        if not isinstance(value, Laid):
            array = value if before is None else before(value)
            return np.asarray(function(np, array, axes, keep)).astype(value.dtype)
        array = value.array if before is None else before(value.array)
        places = tuple(value.order[axis] for axis in axes)
        made = function(jnp, array, places, keep).astype(value.dtype)
        return Laid(made, value.order if keep else without(value.order, axes))


def _plainly(name: str) -> Callable[..., Any]:
    def reduce(xp: Any, array: Any, axes: tuple[int, ...], keep: bool) -> Any:
        return getattr(xp, name)(array, axis=axes, keepdims=keep)

    return reduce


def _log_sum_exp(xp: Any, array: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return jax.nn.logsumexp(jnp.asarray(array), axis=axes, keepdims=keep)


def _root(xp: Any, array: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return xp.sqrt(xp.sum(array, axis=axes, keepdims=keep))


def _log(xp: Any, array: Any, axes: tuple[int, ...], keep: bool) -> Any:
    return xp.log(xp.sum(array, axis=axes, keepdims=keep))


for _name in ("Sum", "Mean", "Max", "Min", "Prod"):
    _reduction(f"Reduce{_name}", _plainly(_name.lower()))
_reduction("ReduceL1", _plainly("sum"), before=abs)
_reduction("ReduceL2", _root, before=lambda a: a * a)
_reduction("ReduceSumSquare", _plainly("sum"), before=lambda a: a * a)
_reduction("ReduceLogSum", _log)
_reduction("ReduceLogSumExp", _log_sum_exp)


def _arg(name: str, largest: bool) -> None:
    @operator(name)
    def run(call: Call) -> Any:
        array = call.array(0)
        axis = axis_of(call.setting("axis", 0), array.ndim)
        find = call.xp.argmax if largest else call.xp.argmin
        if call.setting("select_last_index", 0):
            back = find(call.xp.flip(array, axis), axis=axis)
            found = array.shape[axis] - 1 - back
        else:
            found = find(array, axis=axis)
        return call.xp.expand_dims(found, axis) if call.setting("keepdims", 1) else found


_arg("ArgMax", True)
_arg("ArgMin", False)


def _softmax_axes(call: Call, value: Laid) -> tuple[int, ...]:
    """Until version 13 all axes from the named one on count as one."""
    if call.opset >= 13:
        return (value.order[axis_of(call.setting("axis", -1), value.ndim)],)
    first = axis_of(call.setting("axis", 1), value.ndim)
    return tuple(value.order[axis] for axis in range(first, value.ndim))


@operator("Softmax")
def _softmax(call: Call) -> Laid:
    value = call.laid(0)
    return Laid(jax.nn.softmax(value.array, axis=_softmax_axes(call, value)), value.order)


@operator("LogSoftmax")
def _log_softmax(call: Call) -> Laid:
    value = call.laid(0)
    return Laid(jax.nn.log_softmax(value.array, axis=_softmax_axes(call, value)), value.order)


@operator("Hardmax")
def _hardmax(call: Call) -> Any:
    value = call.laid(0)
    axes = _softmax_axes(call, value)
    array = jnp.asarray(call.array(0))
    if len(axes) > 1:
        flat = array.reshape(-1, int(np.prod([value.array.shape[axis] for axis in axes])))
        hot = jax.nn.one_hot(flat.argmax(-1), flat.shape[-1], dtype=array.dtype)
        return hot.reshape(array.shape)
    axis = axis_of(call.setting("axis", -1 if call.opset >= 13 else 1), array.ndim)
    return jax.nn.one_hot(array.argmax(axis), array.shape[axis], axis=axis, dtype=array.dtype)
