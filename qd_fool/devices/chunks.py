"""A batched function applied to some individuals at a time."""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

Tree = TypeVar("Tree")


def map_chunks(function: Callable[[PyTree], Tree], batch: PyTree, *, chunk: int) -> Tree:
    """Apply a batched function to `chunk` individuals at a time; memory is bounded by the chunk.

    The last chunk is filled up with copies of the first individual, whose results are dropped, so
    that every call has one shape: XLA's results differ in the last bits between shapes.

    Args:
      function: pytree of `(chunk, ...)` to pytree of `(chunk, ...)`.
      batch: pytree of `(n, ...)`.
      chunk: individuals a call.
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
