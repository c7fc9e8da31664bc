"""The evaluation kernel: pictures in, log-odds of each class out.

One function over a scorer, shared by evolution (8-bit pictures) and gradient ascent (float
pictures in the same units): crop, preprocess, apply, log-odds, average over crops; in chunks.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num, PyTree

from qd_fool.errors import UserError
from qd_fool.models.scorer import Scorer

Tree = TypeVar("Tree")


def log_odds_from_logits(logits: Float[Array, "n classes"]) -> Float[Array, "n classes"]:
    """`log p - log(1 - p)` of the softmax, in log space.

    It orders as p does, yet goes on where float32 softmax sticks at 1. For the winner the *other*
    exponentials are summed, relative to the runner-up; for the rest 1 - p is at least one half and
    subtraction is safe. Needs two classes or more.
    """
    if logits.shape[-1] < 2:
        raise UserError(f"the network has {logits.shape[-1]} class: log-odds need at least 2")
    winner = jnp.argmax(logits, axis=-1, keepdims=True)
    is_winner = jnp.arange(logits.shape[-1])[None] == winner
    below = logits - jnp.max(logits, axis=-1, keepdims=True)
    others = jax.nn.logsumexp(below, axis=-1, keepdims=True, where=~is_winner)
    shares = jnp.exp(below)
    rest = jnp.sum(shares, axis=-1, keepdims=True) - jnp.where(is_winner, 0.0, shares)
    return below - jnp.where(is_winner, others, jnp.log(rest))


def mean_confidence_log_odds(
    log_odds: Float[Array, "crops n classes"],
) -> Float[Array, "n classes"]:
    """Log-odds of the mean over crops of the confidences (FACTS of the original: mean softmax)."""
    log_p = jax.nn.logsumexp(jax.nn.log_sigmoid(log_odds), axis=0)
    log_not_p = jax.nn.logsumexp(jax.nn.log_sigmoid(-log_odds), axis=0)
    return log_p - log_not_p


def check_crops(scorer: Scorer, image_shape: tuple[int, ...], *, crops: int) -> None:
    """See that pictures of a shape `(height, width, channels)` can be cut for a network.

    Raises:
      UserError: too small, the wrong number of channels, or crops other than 1 and 10.
    """
    height, width, channels = image_shape
    size, want = scorer.input_size, scorer.image_shape[2]
    if channels != want:
        raise UserError(f"images have {channels} channels: {scorer.name} expects {want}")
    if crops not in (1, 10):
        raise UserError(f"crops is {crops}: expected 1 (centre) or 10 (five places and mirrors)")
    small = min(height, width)
    if small < size:
        raise UserError(
            f"images are {height}x{width}: {scorer.name} expects at least {size}x{size}"
        )
    if crops == 10 and small == size:
        raise UserError(
            f"ten crops need images larger than the network's {size}x{size} input, "
            f"and these are {height}x{width}"
        )


def crop(
    images: Num[Array, "n height width channels"], *, size: int, crops: int
) -> Num[Array, "crops n size size channels"]:
    """Cut the network's input from pictures: the centre, or the original's ten crops.

    Ten: the corners and the centre, each also mirrored (fit_deep_learning.hpp:70-178). The centre's
    offset is rounded down, as there.
    """
    height, width = images.shape[1:3]
    y, x = height - size, width - size
    if crops == 1:
        places = [(y // 2, x // 2)]
    else:
        places = [(0, 0), (0, x), (y, 0), (y, x), (y // 2, x // 2)]
    cuts = [images[:, top : top + size, left : left + size] for top, left in places]
    if crops == 10:
        cuts += [cut[:, :, ::-1] for cut in cuts]
    return jnp.stack(cuts)


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


def log_odds(
    scorer: Scorer,
    params: PyTree[Array],
    images: Num[Array, "n height width channels"],
    *,
    crops: int = 1,
) -> Float[Array, "n classes"]:
    """Score one chunk of pictures. Differentiable with respect to float pictures and parameters.

    Args:
      scorer: the network's facts.
      params: its parameters; an argument, so that they are never baked into the program.
      images: uint8, or float in 0..255, unrounded.
      crops: 1 or 10.

    Returns:
      `log p - log(1 - p)` for each class, p being the confidence, averaged over crops.

    Raises:
      UserError: pictures that the network can't take.
    """
    check_crops(scorer, images.shape[1:], crops=crops)
    cuts = crop(images, size=scorer.input_size, crops=crops)
    flat = cuts.reshape(-1, *cuts.shape[2:]).astype(jnp.float32)
    scores = log_odds_from_logits(scorer.apply(params, scorer.preprocess(flat)))
    if crops == 1:
        return scores
    return mean_confidence_log_odds(scores.reshape(crops, -1, scores.shape[-1]))


def evaluate(
    scorer: Scorer,
    params: PyTree[Array],
    images: Num[Array, "n height width channels"],
    *,
    crops: int = 1,
    chunk: int,
) -> Float[Array, "n classes"]:
    """`log_odds` of any number of pictures, `chunk` at a time."""
    return map_chunks(lambda x: log_odds(scorer, params, x, crops=crops), images, chunk=chunk)
