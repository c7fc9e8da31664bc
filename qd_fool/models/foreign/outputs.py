"""The numbers that come out of a network: logits, probabilities, or one number for two classes."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from qd_fool.errors import UserError

OUTPUTS = ("auto", "logits", "probabilities")
"""Kinds of the output's numbers."""

LEAST_PROBABILITY = 1e-7
"""Lowest probability. Probabilities are clipped to it and its complement if there are no logits."""

Logits = Callable[[Float[Array, "n numbers"]], Float[Array, "n classes"]]


def to_logits(ending: str, outputs: str, *, count: int, source: str) -> Logits:
    """From what comes out to one logit per class.

    Args:
      ending: What `without_softmax` took away.
      outputs: One of `OUTPUTS`.
      count: Numbers that come out per picture.
      source: Name of the file, for errors.

    Raises:
      UserError: No classifier of one class per picture.
    """
    if ending == "sigmoid" and count > 1:
        raise UserError(
            f"{source}: {count} labels, each with a Sigmoid of its own, are not classes of which "
            "one holds: expected a network that ends in a Softmax, or in one number"
        )
    probable = outputs == "probabilities" and not ending
    if count == 1:
        return _of_probability if probable else _of_logit
    return _of_probabilities if probable else _as_they_are


def _as_they_are(out: Float[Array, "n classes"]) -> Float[Array, "n classes"]:
    return out


def _of_probabilities(out: Float[Array, "n classes"]) -> Float[Array, "n classes"]:
    return jnp.log(jnp.clip(out, LEAST_PROBABILITY, 1.0))


def _of_logit(out: Float[Array, "n 1"]) -> Float[Array, "n 2"]:
    return jnp.concatenate([jnp.zeros_like(out), out], axis=1)


def _of_probability(out: Float[Array, "n 1"]) -> Float[Array, "n 2"]:
    p = jnp.clip(out, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return jnp.concatenate([jnp.log1p(-p), jnp.log(p)], axis=1)
