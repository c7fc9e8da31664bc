"""Convolutions of another library in the form of this project's layers.

On CPU, XLA takes several times as long for depthwise convolutions as the sums of
`architectures.layers`. A library's function is traced, and its steps are done one by one, with this
project's layers in place of the convolutions that these can do.

Source of the method: JAX's documentation, "Writing custom Jaxpr interpreters in JAX".
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.extend.core
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from qd_fool.models.architectures.layers import convolve

NHWC = lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
"""Places of the axes: pictures and results (n, height, width, channels), kernels (height, width,
channels per group, features)."""

INLINED = ("jit", "pjit")
"""Steps that call other steps, by their names in all versions of JAX."""


def with_own_convolutions(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that computes the same with this project's convolutions.

    Args:
      function: Function of pytrees of arrays that JAX can trace.
    """

    def changed(*arguments: Any) -> Any:
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        results = _evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(arguments))
        return jax.tree.unflatten(jax.tree.structure(shape), results)

    return changed


def _evaluate(jaxpr: Any, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    """Do the steps of a traced function."""
    values = dict(zip(jaxpr.constvars, map(jnp.asarray, constants), strict=True))
    values |= dict(zip(jaxpr.invars, arguments, strict=True))

    def read(atom: Any) -> Any:
        return atom.val if isinstance(atom, jax.extend.core.Literal) else values[atom]

    for step in jaxpr.eqns:
        given = [read(atom) for atom in step.invars]
        name = step.primitive.name
        if name in INLINED:
            inner = step.params["jaxpr"]
            results = _evaluate(inner.jaxpr, inner.consts, given)
        elif name == "conv_general_dilated" and _is_plain(step):
            results = [_convolve(given[0], given[1], step.params)]
        else:
            results = _do(step, given)
        values |= dict(zip(step.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _do(step: Any, given: Sequence[Any]) -> list[Any]:
    """Do one step as it is."""
    bound = step.primitive.get_bind_params(step.params)
    # Older versions of JAX give the functions that a step calls apart from its parameters.
    functions, params = bound if isinstance(bound, tuple) else ((), bound)
    with step.ctx.manager:
        found = step.primitive.bind(*functions, *given, **params)
    return list(found) if step.primitive.multiple_results else [found]


def _is_plain(step: Any) -> bool:
    """Whether this project's layers can do a convolution, and are not slower."""
    params, (x, kernel) = step.params, (atom.aval.shape for atom in step.invars)
    groups = params["feature_group_count"]
    return (
        params["dimension_numbers"] == NHWC
        and params["batch_group_count"] == 1
        and set(params["lhs_dilation"]) == set(params["rhs_dilation"]) == {1}
        and len(set(params["window_strides"])) == 1
        and kernel[0] == kernel[1]
        and (groups == 1 or groups == x[-1] == kernel[-1])
        and all(pad >= 0 for pads in params["padding"] for pad in pads)
    )


def _convolve(x: Array, kernel: Array, params: dict[str, Any]) -> Array:
    return convolve(
        x,
        kernel,
        stride=params["window_strides"][0],
        padding=tuple(params["padding"]),
        groups=params["feature_group_count"],
    )
