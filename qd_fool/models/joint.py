"""Several networks as one, for pictures that fool them all.

Beyond the paper, which shows its pictures to a second network only afterwards.
"""

from collections.abc import Callable, Sequence
from typing import Any, get_args

import jax.numpy as jnp
from jaxtyping import Array, Float

from qd_fool.choices import Joint
from qd_fool.errors import UserError
from qd_fool.models.scorer import Scorer

RULES: dict[str, Callable[[Float[Array, "networks n classes"]], Float[Array, "n classes"]]] = {
    "least": lambda log_odds: jnp.min(log_odds, axis=0),
    "mean": lambda log_odds: jnp.mean(log_odds, axis=0),
}
"""From the log-odds of each network to those of all."""


def join_scorers(scorers: Sequence[Scorer], *, rule: str = "least") -> Scorer:
    """A scorer whose log-odds of a class are the least, or the mean, of several networks'.

    Its parameters are the tuple of theirs. Pictures are as large as the largest of them wants; each
    network cuts its own input from the middle.

    Args:
      scorers: one or more, which tell apart the same classes.
      rule: "least" or "mean".

    Returns:
      The scorer; the network itself where there is but one.

    Raises:
      UserError: networks of different classes or channels, or no such rule.
    """
    if rule not in get_args(Joint):
        raise UserError(f"joint is {rule!r}: expected one of {', '.join(get_args(Joint))}")
    first = scorers[0]
    if len(scorers) == 1:
        return first
    for other in scorers[1:]:
        for what, theirs, ours in (
            ("classes", other.class_names, first.class_names),
            ("channels", other.image_shape[2:], first.image_shape[2:]),
        ):
            if theirs != ours:
                raise UserError(
                    f"{first.name} and {other.name} cannot be fooled at once: their {what} differ"
                )

    def never(*_: Any) -> Array:
        raise TypeError("several networks have no one forward pass: use the kernel")

    heights, widths, channels = zip(*(s.image_shape for s in scorers), strict=True)
    return Scorer(
        name="+".join(s.name for s in scorers),
        params=tuple(s.params for s in scorers),
        apply=never,
        preprocess=never,
        image_shape=(max(heights), max(widths), channels[0]),
        input_size=max(s.input_size for s in scorers),
        class_names=first.class_names,
        chunk=min(s.chunk for s in scorers),
        accelerator_chunk=min(s.accelerator_chunk for s in scorers),
        wnids=first.wnids,
        weights=", ".join(s.weights for s in scorers),
        weights_sha256="+".join(s.weights_sha256 for s in scorers),
        mean=first.mean,
        members=tuple(scorers),
        joint=RULES[rule],
    )
