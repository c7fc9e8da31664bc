"""A batched function that is applied to one chunk of a batch after another."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

Tree = TypeVar("Tree")


def map_chunks(function: Callable[[PyTree], Tree], batch: PyTree, *, chunk: int) -> Tree:
    """Apply a batched function to `chunk` individuals at a time, which bounds memory.

    Every call has the same shape, because XLA's results differ in the last bits between shapes. So
    the last chunk is filled up with copies of the first individual, and their results are dropped.

    Args:
      function: Function from a pytree of `(chunk, ...)` to a pytree of `(chunk, ...)`.
      batch: Pytree of `(n, ...)`.
      chunk: Number of individuals per call.
    """
    n = jax.tree.leaves(batch)[0].shape[0]
    chunks = -(-n // chunk)
    surplus = chunks * chunk - n

    def split(a: Array) -> Array:
        if surplus:
            a = jnp.concatenate([a, jnp.broadcast_to(a[:1], (surplus, *a.shape[1:]))])
        return a.reshape(chunks, chunk, *a.shape[1:])

    out = jax.lax.map(function, jax.tree.map(split, batch))
    return jax.tree.map(lambda a: a.reshape(chunks * chunk, *a.shape[2:])[:n], out)
