"""The evaluation kernel: pictures in, log-odds of each class out.

Evolution (8-bit pictures) and gradient ascent (float pictures in the same units) share it: crop,
preprocess, apply, log-odds, average over crops; in chunks.
"""

from typing import assert_never

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num, PyTree

from qd_fool.devices.chunks import map_chunks
from qd_fool.errors import UserError
from qd_fool.models.joint import JointScorer
from qd_fool.models.network import Network
from qd_fool.models.scorer import Scorer
from qd_fool.scoring.crops import check_crops, map_crops


def log_odds_from_logits(logits: Float[Array, "n classes"]) -> Float[Array, "n classes"]:
    """`log p - log(1 - p)` of the softmax, in log space.

    It orders as p does, and still differs where float32 softmax is 1. For the winner the *other*
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
    """Log-odds of the confidence averaged over crops.

    Source: sferes/exp/images/fit/fit_map_deep_learning.hpp:150-169 averages the softmax vectors.
    """
    if len(log_odds) == 1:
        return log_odds[0]  # as it is: the logarithms below would round it
    log_p = jax.nn.logsumexp(jax.nn.log_sigmoid(log_odds), axis=0)
    log_not_p = jax.nn.logsumexp(jax.nn.log_sigmoid(-log_odds), axis=0)
    return log_p - log_not_p


def log_odds(
    scorer: Network,
    params: PyTree[Array],
    images: Num[Array, "n height width channels"],
    *,
    crops: int = 1,
) -> Float[Array, "n classes"]:
    """Score one chunk of pictures. Differentiable with respect to float pictures and parameters.

    Args:
      scorer: The network's facts.
      params: The network's parameters; an argument, so that they are never baked into the program.
      images: uint8, or float in 0..255, unrounded.
      crops: 1 or 10.

    Returns:
      `log p - log(1 - p)` of each class, p being the confidence, averaged over crops.

    Raises:
      UserError: Pictures that the network can't take.
    """
    check_crops(scorer, images.shape[1:], crops=crops)
    match scorer:
        case Scorer():
            return _log_odds_of_one(scorer, params, images, crops=crops)
        case JointScorer():
            each = [
                log_odds(member, member_params, images, crops=crops)
                for member, member_params in zip(scorer.members, params, strict=True)
            ]
            return scorer.combine(jnp.stack(each))
        case _:
            assert_never(scorer)


def _log_odds_of_one(
    scorer: Scorer,
    params: PyTree[Array],
    images: Num[Array, "n height width channels"],
    *,
    crops: int,
) -> Float[Array, "n classes"]:
    def score(cut: Float[Array, "n size size channels"]) -> Float[Array, "n classes"]:
        return log_odds_from_logits(scorer.apply(params, scorer.preprocess(cut)))

    each_crop = map_crops(score, images, size=scorer.input_size, crops=crops)
    return mean_confidence_log_odds(each_crop)


def evaluate(
    scorer: Network,
    params: PyTree[Array],
    images: Num[Array, "n height width channels"],
    *,
    crops: int = 1,
    chunk: int,
) -> Float[Array, "n classes"]:
    """`log_odds` of any number of pictures, `chunk` at a time."""
    return map_chunks(lambda x: log_odds(scorer, params, x, crops=crops), images, chunk=chunk)
