"""The numbers that come out of a network: logits, probabilities, or one number for two classes."""

from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from qd_fool.errors import UserError

OUTPUTS = ("auto", "logits", "probabilities", "label-logits", "label-probabilities")
"""Kinds of the output's numbers. A label holds or not, independently of the others."""

LEAST_PROBABILITY = 1e-7
"""Lowest probability. Probabilities are clipped to it and its complement if there are no logits."""

Logits = Callable[[Float[Array, "n numbers"]], Float[Array, "n classes"]]


def to_logits(ending: str, outputs: str, *, count: int, source: str) -> Logits:
    """From what comes out to one logit per class, or per label.

    Args:
      ending: What `without_softmax` took away.
      outputs: One of `OUTPUTS`.
      count: Numbers that come out per picture.
      source: Name of the file, for errors.

    Raises:
      UserError: The network ends in a Softmax, and `outputs` says that its labels are independent.
    """
    if ending == "softmax" and outputs == "label-probabilities":
        raise UserError(
            f"--outputs {outputs}: {source} ends in a Softmax, so one of its classes holds and not "
            "each label for itself"
        )
    probable = outputs in ("probabilities", "label-probabilities") and not ending
    if count == 1:
        return _of_probability if probable else _of_logit
    if probable and outputs == "label-probabilities":
        return _of_labels
    return _of_probabilities if probable else _as_they_are


def is_multilabel(ending: str, outputs: str, *, count: int) -> bool:
    """Whether the numbers that come out belong to independent labels.

    Args:
      ending: What `without_softmax` took away.
      outputs: One of `OUTPUTS`.
      count: Numbers that come out per picture. One number makes two classes.
    """
    return count > 1 and (ending == "sigmoid" or outputs.startswith("label-"))


def _as_they_are(out: Float[Array, "n classes"]) -> Float[Array, "n classes"]:
    return out


def _of_probabilities(out: Float[Array, "n classes"]) -> Float[Array, "n classes"]:
    return jnp.log(jnp.clip(out, LEAST_PROBABILITY, 1.0))


def _of_labels(out: Float[Array, "n labels"]) -> Float[Array, "n labels"]:
    p = jnp.clip(out, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return jnp.log(p) - jnp.log1p(-p)


def _of_logit(out: Float[Array, "n 1"]) -> Float[Array, "n 2"]:
    return jnp.concatenate([jnp.zeros_like(out), out], axis=1)


def _of_probability(out: Float[Array, "n 1"]) -> Float[Array, "n 2"]:
    p = jnp.clip(out, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return jnp.concatenate([jnp.log1p(-p), jnp.log(p)], axis=1)
