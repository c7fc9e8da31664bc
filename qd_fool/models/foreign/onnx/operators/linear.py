"""Matrix products."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from qd_fool.models.foreign.onnx.operator import Call, Unfit, check_size, operator
from qd_fool.models.foreign.onnx.project_layers import EXACT


def product(a: Any, b: Any) -> Any:
    """A matrix product whose leading axes broadcast."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        _check_product(a, b)
        return np.matmul(a, b)
    _check_product(a, b)
    if b.ndim == 2 and a.ndim > 2:  # one large product instead of many small ones
        return jnp.tensordot(a, b, 1, precision=EXACT)
    if a.ndim > 1 and b.ndim > 1:
        rank = max(a.ndim, b.ndim)
        a = a.reshape((1,) * (rank - a.ndim) + a.shape)
        b = b.reshape((1,) * (rank - b.ndim) + b.shape)
    return jnp.matmul(a, b, precision=EXACT)


def _check_product(a: Any, b: Any) -> None:
    if not a.ndim or not b.ndim:
        raise Unfit("a matrix product of single numbers")
    if a.ndim > 1 and b.ndim > 1:
        lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        check_size([*lead, a.shape[-2], b.shape[-1]])


@operator("MatMul")
def _matmul(call: Call) -> Any:
    return product(call.array(0), call.array(1))


@operator("Gemm")
def _gemm(call: Call) -> Any:
    a, b = call.array(0), call.array(1)
    a = a.T if call.setting("transA", 0) else a
    b = b.T if call.setting("transB", 0) else b
    made = product(a, b)
    alpha, beta = call.setting("alpha", 1.0), call.setting("beta", 1.0)
    if alpha != 1:
        made = (made * alpha).astype(made.dtype)
    if call.has(2) and beta != 0:
        c = call.array(2)
        c = c.reshape((1,) * (2 - c.ndim) + c.shape)
        made = made + (c if beta == 1 else (c * beta).astype(c.dtype))
    return made


@operator("Einsum")
def _einsum(call: Call) -> Any:
    equation, arrays = call.setting("equation", "").replace(" ", ""), call.arrays()
    _check_einsum(equation, arrays)
    if call.xp is np:
        return np.einsum(equation, *arrays)
    return jnp.einsum(equation, *arrays, precision=EXACT)


def _check_einsum(equation: str, arrays: list[Any]) -> None:
    """An outer product of many small arrays can be too large to make."""
    shapes = [jax.ShapeDtypeStruct(array.shape, jnp.float32) for array in arrays]
    check_size(jax.eval_shape(lambda *given: jnp.einsum(equation, *given), *shapes).shape)
