"""The evaluation kernel: pictures in, log-odds of each class out.

One function over a scorer, shared by evolution (8-bit pictures) and gradient ascent (float
pictures in the same units): crop, preprocess, apply, log-odds, average over crops; in chunks.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num, PyTree

from qd_fool.devices.chunks import map_chunks
from qd_fool.errors import UserError
from qd_fool.models.scorer import Scorer
from qd_fool.scoring.crops import Place, check_crops, crop, crop_places


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
    """Log-odds of the mean over crops of the confidences.

    Source: sferes/exp/images/fit/fit_map_deep_learning.hpp:150-169 averages the softmax vectors.
    """
    log_p = jax.nn.logsumexp(jax.nn.log_sigmoid(log_odds), axis=0)
    log_not_p = jax.nn.logsumexp(jax.nn.log_sigmoid(-log_odds), axis=0)
    return log_p - log_not_p


def log_odds(
    scorer: Scorer,
    params: PyTree[Array],
    images: Num[Array, "n height width channels"],
    *,
    crops: int = 1,
) -> Float[Array, "n classes"]:
    """Score one chunk of pictures. Differentiable with respect to float pictures and parameters.

    Args:
      scorer: the network's facts, or those of several (`models.joint`).
      params: its parameters; an argument, so that they are never baked into the program.
      images: uint8, or float in 0..255, unrounded.
      crops: 1 or 10.

    Returns:
      `log p - log(1 - p)` for each class, p being the confidence, averaged over crops.

    Raises:
      UserError: pictures that the network can't take.
    """
    return log_odds_and_layer(scorer, params, images, crops=crops)[0]


def log_odds_and_layer(
    scorer: Scorer,
    params: PyTree[Array],
    images: Num[Array, "n height width channels"],
    *,
    crops: int = 1,
    layer: str | None = None,
) -> tuple[Float[Array, "n classes"], Float[Array, "n *units"]]:
    """`log_odds`, and what a layer gave in the same forward pass.

    Args:
      scorer: the network's facts.
      params: its parameters.
      images: as in `log_odds`.
      crops: 1 or 10.
      layer: a name of `layer_shapes`; None for the logits.

    Returns:
      Log-odds, and the layer's output, averaged over crops.

    Raises:
      UserError: pictures that the network can't take, or no such layer.
    """
    check_crops(scorer, images.shape[1:], crops=crops)
    if scorer.joint is not None:
        if layer is not None:
            raise UserError(f"{scorer.name} has no layer {layer!r}: it is several networks")
        each = [
            log_odds(member, its, images, crops=crops)
            for member, its in zip(scorer.members, params, strict=True)
        ]
        odds = scorer.joint(jnp.stack(each))
        return odds, odds
    places = crop_places(images.shape[1:], size=scorer.input_size, crops=crops)

    def score(place: Place) -> tuple[Float[Array, "n classes"], Float[Array, "n *units"]]:
        cut = crop(images, place, size=scorer.input_size).astype(jnp.float32)
        logits, outputs = _apply_and_listen(scorer, params, scorer.preprocess(cut))
        if layer is not None and layer not in outputs:
            known = ", ".join(outputs) or "none that have a name"
            raise UserError(f"{scorer.name} has no layer {layer!r}: its layers are {known}")
        output = logits if layer is None else outputs[layer].astype(jnp.float32)
        return log_odds_from_logits(logits), output

    if crops == 1:
        return score(places[0])
    # A crop at a time: the network sees as many pictures at once as with one crop, which is what
    # the chunk was chosen for, and no cut picture is kept.
    columns = tuple(jnp.asarray(column) for column in zip(*places, strict=True))
    each_crop, outputs = jax.lax.map(score, columns)
    return mean_confidence_log_odds(each_crop), jnp.mean(outputs, axis=0)


def layer_shapes(scorer: Scorer) -> dict[str, tuple[int, ...]]:
    """The named layers of a network, in the order of the forward pass, and a picture's output."""
    if scorer.members:
        return {}
    size, channels = scorer.input_size, scorer.image_shape[2]
    cut = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)

    def listen(params: PyTree[Array], cut: Array) -> dict[str, Array]:
        return _apply_and_listen(scorer, params, scorer.preprocess(cut))[1]

    outputs: dict[str, tuple[int, ...]] = {}
    # In the order in which they were heard: a traced dictionary comes back sorted.
    _ = jax.eval_shape(
        lambda params, cut: outputs.update(
            {name: tuple(a.shape[1:]) for name, a in listen(params, cut).items()}
        ),
        scorer.params,
        cut,
    )
    return outputs


def _apply_and_listen(
    scorer: Scorer, params: PyTree[Array], x: Float[Array, "n size size channels"]
) -> tuple[Float[Array, "n classes"], dict[str, Array]]:
    """Logits, and the outputs of the flax modules within the network by their path."""
    heard: dict[str, Array] = {}

    def listen(next_function: Any, args: Any, kwargs: Any, context: Any) -> Any:
        output = next_function(*args, **kwargs)
        path = "/".join(context.module.path)
        if path and context.method_name == "__call__" and isinstance(output, jax.Array):
            heard[path] = output
        return output

    with nn.intercept_methods(listen):
        logits = scorer.apply(params, x)
    return logits, heard


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
