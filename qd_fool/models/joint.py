"""Several networks as one, for pictures that fool them all.

This goes beyond the paper, which shows its pictures to a second network only afterwards.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import get_args

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from qd_fool.choices import Joint
from qd_fool.errors import UserError
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import Size, sides_of, size_of

RULES: Mapping[str, Callable[[Float[Array, "networks n classes"]], Float[Array, "n classes"]]] = (
    MappingProxyType(
        {
            "least": lambda log_odds: jnp.min(log_odds, axis=0),
            "mean": lambda log_odds: jnp.mean(log_odds, axis=0),
        }
    )
)
"""From the log-odds of each network to the log-odds of all networks together."""


@dataclasses.dataclass(frozen=True, eq=False)
class JointScorer:
    """Several networks that classify the same classes, as one network.

    The log-odds of a class are the least, or the mean, of the networks' log-odds. Pictures have the
    size that the largest network needs. Each network cuts its input from the middle.

    Attributes:
      members: Networks, two or more.
      rule: Rule that joins log-odds, "least" or "mean".
      name, params, image_shape, input_size, class_names, chunk, accelerator_chunk, wnids, weights,
        weights_sha256, mean: Facts as in `Scorer`, which follow from the members.
    """

    members: tuple[Scorer | HostScorer, ...]
    rule: str = "least"

    def __post_init__(self) -> None:
        if self.rule not in get_args(Joint):
            raise UserError(f"joint is {self.rule!r}: expected one of {', '.join(get_args(Joint))}")
        first = self.members[0]
        for other in self.members[1:]:
            for fact, found, expected in (
                ("classes", other.class_names, first.class_names),
                ("channels", other.image_shape[2:], first.image_shape[2:]),
            ):
                if found != expected:
                    raise UserError(
                        f"{first.name} and {other.name} cannot be fooled at once: "
                        f"their {fact} differ"
                    )

    def combine(self, log_odds: Float[Array, "networks n classes"]) -> Float[Array, "n classes"]:
        """Return the log-odds of all networks together, from the log-odds of each."""
        return RULES[self.rule](log_odds)

    @property
    def name(self) -> str:
        """The names of all networks."""
        return "+".join(member.name for member in self.members)

    @property
    def params(self) -> PyTree[Array]:
        """A tuple of the parameters of each network."""
        return tuple(member.params for member in self.members)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The largest height and width that a network needs, and the channels."""
        heights, widths, channels = zip(*(m.image_shape for m in self.members), strict=True)
        return max(heights), max(widths), channels[0]

    @property
    def input_size(self) -> Size:
        """The height and the width that hold every network's input."""
        heights, widths = zip(*(sides_of(m.input_size) for m in self.members), strict=True)
        return size_of(max(heights), max(widths))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, which are the same for all networks."""
        return self.members[0].class_names

    @property
    def chunk(self) -> int:
        """The smallest of the networks' chunks."""
        return min(member.chunk for member in self.members)

    @property
    def accelerator_chunk(self) -> int:
        """The smallest of the networks' chunks on a GPU or TPU."""
        return min(member.accelerator_chunk for member in self.members)

    @property
    def wnids(self) -> tuple[str, ...]:
        """The WordNet identifiers of the first network."""
        return self.members[0].wnids

    @property
    def weights(self) -> str:
        """Where the parameters of each network came from."""
        return ", ".join(member.weights for member in self.members)

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 of each network's file."""
        return "+".join(member.weights_sha256 for member in self.members)

    @property
    def mean(self) -> tuple[float, ...]:
        """The mean colour of the first network."""
        return self.members[0].mean


def join_scorers(
    scorers: Sequence[Scorer | HostScorer], *, rule: str = "least"
) -> Scorer | HostScorer | JointScorer:
    """Join several networks into one, or return the network itself if there is only one.

    Args:
      scorers: One or more networks, with the same classes.
      rule: Rule that joins log-odds, "least" or "mean".

    Raises:
      UserError: The networks have different classes or channels, or there is no such rule.
    """
    joint = JointScorer(tuple(scorers), rule)
    return scorers[0] if len(scorers) == 1 else joint
