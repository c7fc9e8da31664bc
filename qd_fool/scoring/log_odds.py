"""The evaluation of pictures: pictures in, log-odds of each class out.

Evolution (8-bit pictures) and gradient ascent (float pictures in the same units) share it. The
steps are: crop, preprocess, apply the network, take log-odds, average over crops; in chunks.
"""

from typing import assert_never

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Num, PyTree

from qd_fool.devices.chunks import map_chunks
from qd_fool.errors import UserError
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.joint import JointScorer
from qd_fool.models.network import Network, SingleNetwork
from qd_fool.models.scorer import Scorer
from qd_fool.scoring.crops import check_crops, map_crops


def log_odds_from_logits(logits: Float[Array, "n classes"]) -> Float[Array, "n classes"]:
    """Return `log p - log(1 - p)` of the softmax p, computed in log space.

    Log-odds order pictures as p does, and they still differ where p is 1 in float32.

    Raises:
      UserError: There are fewer than two classes.
    """
    if logits.shape[-1] < 2:
        raise UserError(f"the network has {logits.shape[-1]} class: log-odds need at least 2")
    # p / (1 - p) is a class's exponential over the sum of all others. Logits are taken relative to
    # the largest one, so that no exponential overflows.
    winner = jnp.argmax(logits, axis=-1, keepdims=True)
    is_winner = jnp.arange(logits.shape[-1])[None] == winner
    below = logits - jnp.max(logits, axis=-1, keepdims=True)
    below = _exact(below, logits, is_winner)

    # The winner's p may be 1 in float32, and subtraction would leave 0. So the other exponentials
    # are summed on their own; logsumexp takes them relative to the runner-up.
    others = jax.nn.logsumexp(below, axis=-1, keepdims=True, where=~is_winner)

    # For any other class 1 - p is at least one half: subtracting its share from the sum is safe.
    shares = jnp.exp(below)
    rest = jnp.sum(shares, axis=-1, keepdims=True) - jnp.where(is_winner, 0.0, shares)
    return below - jnp.where(is_winner, others, jnp.log(rest))


LOWEST = -1e30
"""Lowest difference of a logit from the largest. The confidence is 0 long before."""


def _exact(
    below: Float[Array, "n classes"],
    logits: Float[Array, "n classes"],
    is_winner: Bool[Array, "n classes"],
) -> Float[Array, "n classes"]:
    """Return differences from the largest logit that hold what exact numbers would: none exceeds 0.

    XLA may compute logits once more where it fuses operations, with other rounding. For logits of
    1e10 the rounding is 1000, and the exponential of that would be infinite. For usual logits this
    subtracts 0 and changes no bit, of values or gradients.

    Args:
      below: Differences from the largest logit.
      logits: Logits. -inf stays -inf: the network masks such a class.
      is_winner: Whether a logit is the largest.
    """
    excess = jnp.where(is_winner, below, jnp.maximum(below, 0.0))
    exact = below - jax.lax.stop_gradient(excess)
    return jnp.where((exact < LOWEST) & (logits > -jnp.inf), LOWEST, exact)


def log_odds_of(
    scorer: SingleNetwork, logits: Float[Array, "n classes"]
) -> Float[Array, "n classes"]:
    """Return the log-odds of each class, by the rule of a network.

    A label that holds independently of the others has its logit as log-odds.

    Args:
      scorer: Network that gave the logits.
      logits: Logits.

    Raises:
      UserError: There are fewer than two classes.
    """
    return logits if scorer.multilabel else log_odds_from_logits(logits)


def mean_confidence_log_odds(
    log_odds: Float[Array, "crops n classes"],
) -> Float[Array, "n classes"]:
    """Return the log-odds of the confidence that is averaged over crops.

    Source: sferes/exp/images/fit/fit_map_deep_learning.hpp:150-169 averages the softmax vectors.
    """
    if len(log_odds) == 1:
        return log_odds[0]  # unchanged: the logarithms below would round it
    # The mean of p over the mean of 1 - p. Both sums are taken in log space, and the number of
    # crops cancels.
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
    """Score one chunk of pictures.

    The result is differentiable with respect to float pictures and parameters.

    Args:
      scorer: The network's facts.
      params: The network's parameters. As an argument, they never become constants of the program.
      images: Pictures of uint8, or of unrounded floats in 0..255.
      crops: 1 or 10.

    Returns:
      `log p - log(1 - p)` of each class, where p is the confidence averaged over crops.

    Raises:
      UserError: The network can't take these pictures, or runs on the host.
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
        case HostScorer():
            raise UserError(
                f"{scorer.name} runs outside JAX, so no JAX function can score pictures with it: "
                "use score_images"
            )
        case _:
            assert_never(scorer)


def _log_odds_of_one(
    scorer: Scorer,
    params: PyTree[Array],
    images: Num[Array, "n height width channels"],
    *,
    crops: int,
) -> Float[Array, "n classes"]:
    def score(cut: Float[Array, "n high wide channels"]) -> Float[Array, "n classes"]:
        return log_odds_of(scorer, scorer.apply(params, scorer.preprocess(cut)))

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
    """Return `log_odds` of any number of pictures, computed for `chunk` pictures at a time."""
    return map_chunks(lambda x: log_odds(scorer, params, x, crops=crops), images, chunk=chunk)
