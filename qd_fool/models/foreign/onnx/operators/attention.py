"""Attention as one operator, which PyTorch writes from version 23 on."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from qd_fool.models.foreign.onnx.operator import Call, Unfit, operator
from qd_fool.models.foreign.onnx.operators.linear import product

_KNOWN = {"q_num_heads", "kv_num_heads", "scale", "is_causal", "softcap", "softmax_precision"}


def _heads(array: Any, count: int) -> Any:
    """(n, length, heads * width) to (n, heads, length, width)."""
    n, length, width = array.shape
    return array.reshape(n, length, count, width // count).transpose(0, 2, 1, 3)


@operator("Attention")
def _attention(call: Call) -> Any:
    if len(call.inputs) > 4 or len([name for name in call.node.outputs if name]) > 1:
        raise Unfit("attention with memory of earlier calls")
    if set(call.node.attributes) - _KNOWN:
        raise Unfit(f"attention with {min(set(call.node.attributes) - _KNOWN)}")
    query, key, value = (jnp.asarray(call.array(i)) for i in range(3))
    flat = query.ndim == 3
    if flat:
        query = _heads(query, call.setting("q_num_heads"))
        key, value = (_heads(a, call.setting("kv_num_heads")) for a in (key, value))
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (jnp.repeat(a, groups, axis=1) for a in (key, value))
    scale = call.setting("scale") or 1 / math.sqrt(query.shape[-1])
    scores = product(query * scale, key.swapaxes(-1, -2))
    cap = call.setting("softcap", 0.0)
    scores = cap * jnp.tanh(scores / cap) if cap else scores
    if call.has(3):
        mask = jnp.asarray(call.array(3))
        mask = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
        short = scores.shape[-1] - mask.shape[-1]
        outside: Any = False if mask.dtype == bool else -jnp.inf
        mask = jnp.pad(mask, ((0, 0),) * 3 + ((0, short),), constant_values=outside)
        scores = jnp.where(mask, scores, -jnp.inf) if mask.dtype == bool else scores + mask
    if call.setting("is_causal", 0):
        seen = jnp.tril(jnp.ones(scores.shape[-2:], bool))
        scores = jnp.where(jnp.broadcast_to(seen, scores.shape), scores, -jnp.inf)
    seen = scores > -jnp.inf
    shares = jax.nn.softmax(jnp.where(seen, scores, jnp.finfo(scores.dtype).min), axis=-1)
    made = product(jnp.where(seen, shares, 0), value)  # all masked: 0
    if not flat:
        return made
    n, heads, length, width = made.shape
    return made.transpose(0, 2, 1, 3).reshape(n, length, heads * width)
