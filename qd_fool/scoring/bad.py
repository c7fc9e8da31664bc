"""Scores that are no answers: NaN and infinity. Minus infinity is an answer."""

from typing import Any

from jaxtyping import Array, Bool, Float

__all__ = ["is_bad"]


def is_bad(log_odds: Float[Any, "*n"]) -> Bool[Array, "*n"] | Any:
    """Return where log-odds are NaN or infinity, `(*n,)`, as an array of NumPy or JAX.

    Minus infinity belongs to a class that the network masks: its confidence is 0 for any picture,
    so its cell stays empty. Finite logits never give minus infinity.

    Args:
      log_odds: Array of NumPy or JAX.
    """
    return (log_odds != log_odds) | (log_odds == float("inf"))  # NaN differs
