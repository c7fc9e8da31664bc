"""All kinds of networks that can score pictures.

All kinds state the same facts: `name`, `params`, `image_shape`, `input_size`, `class_names`,
`chunk`, `accelerator_chunk`, `wnids`, `weights`, `weights_sha256` and `mean`. Two functions treat
the kinds differently: `scoring.crops.check_crops` checks the size of the pictures, and
`scoring.log_odds.log_odds` computes the log-odds of every class. A new kind needs a class, a place
in `Network`, and a case in each of the two functions: the type checker reports a missing case.

A network is on the host if it, or one of several, is a `HostScorer`. Then `scoring.host` scores
the pictures. Three functions ask for this and choose between a compiled loop and one on the host:
`score_function` in `scoring`, `make_segment` in `map_elites`, and `make_ascent` in `ascent`.
"""

import jax

from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.joint import JointScorer
from qd_fool.models.scorer import Scorer

__all__ = [
    "Network",
    "SingleNetwork",
    "calls_in_flight",
    "default_chunk",
    "has_gradient",
    "is_on_host",
    "members_of",
]

SingleNetwork = Scorer | HostScorer
"""A single network, in JAX or on the host."""

Network = Scorer | HostScorer | JointScorer
"""A network of any kind, or several networks as one."""


def default_chunk(network: Network) -> int:
    """Return the default number of pictures scored at once, on this machine's kind of device.

    It divides the paper's batches over one, two or four devices. If it does not divide a batch, the
    rest is filled up with pictures whose scores are dropped.
    """
    on_cpu = jax.default_backend() == "cpu"
    return network.chunk if on_cpu else network.accelerator_chunk


def members_of(network: Network) -> tuple[SingleNetwork, ...]:
    """Return the single networks that a network consists of: several, or only itself."""
    return network.members if isinstance(network, JointScorer) else (network,)


def is_on_host(network: Network) -> bool:
    """Whether a network, or one of several, runs outside JAX."""
    return any(isinstance(member, HostScorer) for member in members_of(network))


def calls_in_flight(network: Network) -> int:
    """Return how many calls of a network run at the same time: 1, or more for a service."""
    hosts = [member for member in members_of(network) if isinstance(member, HostScorer)]
    return max((member.in_flight for member in hosts), default=1)


def has_gradient(network: Network) -> bool:
    """Whether a network, or each one of several, has a gradient with respect to its pictures."""
    return all(
        not isinstance(member, HostScorer) or member.gradient is not None
        for member in members_of(network)
    )
