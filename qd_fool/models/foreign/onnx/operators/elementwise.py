"""Functions of single numbers: arithmetic, comparisons, activations, types."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from qd_fool.models.foreign.onnx.operator import Call, Unfit, numbers, operator, pointwise
from qd_fool.models.foreign.onnx.values import Value, jax_dtype

_UNARY = {
    **{name: name.lower() for name in ("Abs", "Ceil", "Cos", "Cosh", "Exp", "Floor", "Log")},
    **{name: name.lower() for name in ("Sign", "Sin", "Sinh", "Sqrt", "Tan", "Tanh", "IsNaN")},
    "Acos": "arccos",
    "Acosh": "arccosh",
    "Asin": "arcsin",
    "Asinh": "arcsinh",
    "Atan": "arctan",
    "Atanh": "arctanh",
    "Neg": "negative",
    "Not": "logical_not",
    "Round": "round",
    "BitwiseNot": "invert",
}
"""ONNX's names of functions of one number, and NumPy's."""

_BINARY = {
    "Add": "add",
    "Sub": "subtract",
    "Mul": "multiply",
    "Equal": "equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "And": "logical_and",
    "Or": "logical_or",
    "Xor": "logical_xor",
    "BitwiseAnd": "bitwise_and",
    "BitwiseOr": "bitwise_or",
    "BitwiseXor": "bitwise_xor",
}
"""ONNX's names of functions of two numbers, and NumPy's."""


def _named(name: str, xp: Any, *arrays: Any) -> Any:
    return getattr(xp, name)(*arrays)


for _theirs, _numpys in (_UNARY | _BINARY).items():
    pointwise(_theirs)(functools.partial(_named, _numpys))


@operator("Identity", "Dropout")
def _identity(call: Call) -> Any:
    """Dropout does nothing once a network is trained; its mask is all true."""
    if call.has(2) and bool(call.static(2).reshape(())):
        raise Unfit("dropout of a training: export the network for inference")
    value = call.value(0)
    mask = np.ones(value.shape, bool) if len(call.node.outputs) > 1 else None
    return value if mask is None else (value, mask)


@pointwise("Div")
def _divide(xp: Any, a: Any, b: Any) -> Any:
    """Whole numbers are cut towards zero."""
    if not jnp.issubdtype(a.dtype, jnp.integer):
        return xp.divide(a, b).astype(a.dtype)
    quotient = xp.floor_divide(xp.abs(a), xp.abs(b)) if a.dtype.kind == "i" else a // b
    return (xp.sign(a) * xp.sign(b) * quotient).astype(a.dtype) if a.dtype.kind == "i" else quotient


@pointwise("Pow")
def _power(xp: Any, a: Any, b: Any) -> Any:
    """The result has the base's type. Small powers are products, which have gradients at 0."""
    if isinstance(b, np.ndarray) and b.size == 1 and float(b.reshape(())) in (1.0, 2.0, 3.0):
        whole = int(b.reshape(()))
        spread = xp.broadcast_to(a, np.broadcast_shapes(a.shape, b.shape))
        return functools.reduce(lambda x, y: x * y, [spread] * whole)
    return xp.power(a, b).astype(a.dtype)


@operator("Mod")
def _modulo(call: Call) -> Value:
    """`fmod` takes the sign of the dividend, the other that of the divisor."""
    name = "fmod" if call.setting("fmod", 0) else "mod"
    return numbers(call, functools.partial(_named, name))


@pointwise("Reciprocal")
def _reciprocal(xp: Any, a: Any) -> Any:
    return (1 / a).astype(a.dtype)


@pointwise("Sum")
def _sum(xp: Any, *arrays: Any) -> Any:
    return functools.reduce(xp.add, arrays)


@pointwise("Mean")
def _mean(xp: Any, *arrays: Any) -> Any:
    return (functools.reduce(xp.add, arrays) / len(arrays)).astype(arrays[0].dtype)


@pointwise("Max")
def _max(xp: Any, *arrays: Any) -> Any:
    return functools.reduce(xp.maximum, arrays)


@pointwise("Min")
def _min(xp: Any, *arrays: Any) -> Any:
    return functools.reduce(xp.minimum, arrays)


@pointwise("Where")
def _where(xp: Any, condition: Any, a: Any, b: Any) -> Any:
    return xp.where(condition, a, b)


@pointwise("Erf")
def _erf(xp: Any, a: Any) -> Any:
    return special.erf(a).astype(a.dtype) if xp is np else jax.lax.erf(a)


@operator("IsInf")
def _is_infinite(call: Call) -> Value:
    negative, positive = call.setting("detect_negative", 1), call.setting("detect_positive", 1)
    return numbers(
        call,
        lambda xp, a: xp.isinf(a) & (((a < 0) & bool(negative)) | ((a > 0) & bool(positive))),
    )


@operator("Clip")
def _clip(call: Call) -> Value:
    """Limits are attributes until version 11, inputs from then on."""
    if call.opset < 11:
        low, high = call.setting("min"), call.setting("max")
    else:
        low = call.array(1) if call.has(1) else None
        high = call.array(2) if call.has(2) else None

    def limited(xp: Any, a: Any, *_: Any) -> Any:
        a = a if low is None else xp.maximum(a, xp.asarray(low, a.dtype).reshape(()))
        return a if high is None else xp.minimum(a, xp.asarray(high, a.dtype).reshape(()))

    return numbers(call, limited)


@operator("Cast")
def _cast(call: Call) -> Value:
    return _to_type(call, dtype_of(call.setting("to", 1)))


@operator("CastLike")
def _cast_like(call: Call) -> Value:
    return _to_type(Call(call.node, call.opset, call.inputs[:1], call.branch), call.value(1).dtype)


def dtype_of(number: int) -> np.dtype:
    """NumPy's type for ONNX's number of one."""
    import onnx

    found = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
    if found.kind not in "fiub" and found.name not in ("bfloat16",):
        raise Unfit(f"the type {found} is not supported")
    return found


def _to_type(call: Call, dtype: Any) -> Value:
    if call.xp is np:
        return np.asarray(call.static(0).astype(dtype))
    return numbers(call, lambda xp, a: a.astype(jax_dtype(dtype)))


def _activation(name: str, function: Any, **defaults: float) -> None:
    """Enter a function `(array, *settings)`; settings are attributes of the node."""

    @operator(name)
    def run(call: Call) -> Value:
        settings = [call.setting(key, value) for key, value in defaults.items()]
        return numbers(call, lambda xp, a: function(jnp.asarray(a), *settings).astype(a.dtype))


_SELU_ALPHA, _SELU_GAMMA = 1.6732632423543772, 1.0507009873554805

_activation("Relu", lambda a: jax.nn.relu(a))
_activation("Sigmoid", jax.nn.sigmoid)
_activation("Softplus", jax.nn.softplus)
_activation("Softsign", lambda a: a / (1 + jnp.abs(a)))
_activation("Mish", lambda a: a * jnp.tanh(jax.nn.softplus(a)))
_activation("Swish", lambda a, alpha: a * jax.nn.sigmoid(alpha * a), alpha=1.0)
_activation("LeakyRelu", lambda a, alpha: jnp.where(a < 0, alpha * a, a), alpha=0.01)
_activation("ThresholdedRelu", lambda a, alpha: jnp.where(a > alpha, a, 0), alpha=1.0)
_activation("HardSwish", lambda a: a * jnp.clip(a / 6 + 0.5, 0, 1))
_activation(
    "HardSigmoid", lambda a, alpha, beta: jnp.clip(alpha * a + beta, 0, 1), alpha=0.2, beta=0.5
)
_activation("Elu", lambda a, alpha: jax.nn.elu(a, alpha), alpha=1.0)
_activation("Celu", lambda a, alpha: jax.nn.celu(a, alpha), alpha=1.0)
_activation(
    "Selu",
    lambda a, alpha, gamma: gamma * jax.nn.elu(a, alpha),
    alpha=_SELU_ALPHA,
    gamma=_SELU_GAMMA,
)
_activation(
    "Shrink",
    lambda a, bias, lambd: jnp.where(a < -lambd, a + bias, jnp.where(a > lambd, a - bias, 0)),
    bias=0.0,
    lambd=0.5,
)


@operator("Gelu")
def _gelu(call: Call) -> Value:
    rough = call.setting("approximate", "none") == "tanh"
    return numbers(call, lambda xp, a: jax.nn.gelu(jnp.asarray(a), approximate=rough))


@pointwise("PRelu")
def _parametric_relu(xp: Any, a: Any, slope: Any) -> Any:
    return xp.where(a < 0, slope * a, a)
