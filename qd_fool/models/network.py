"""All kinds of networks that can score pictures.

All kinds state the same facts: `name`, `params`, `image_shape`, `input_size`, `class_names`,
`chunk`, `accelerator_chunk`, `wnids`, `weights`, `weights_sha256` and `mean`. Two functions treat
the kinds differently: `scoring.crops.check_crops` checks the size of the pictures, and
`scoring.log_odds.log_odds` computes the log-odds of every class. A new kind needs a class, a place
in `Network`, and a case in each of the two functions: the type checker reports a missing case.
"""

import jax

from qd_fool.models.joint import JointScorer
from qd_fool.models.scorer import Scorer

__all__ = ["Network", "default_chunk"]

Network = Scorer | JointScorer
"""A network of any kind, or several networks as one."""


def default_chunk(network: Network) -> int:
    """Return the default number of pictures scored at once, on this machine's kind of device.

    It divides the paper's batches over one, two or four devices. If it does not divide a batch, the
    rest is filled up with pictures whose scores are dropped.
    """
    on_cpu = jax.default_backend() == "cpu"
    return network.chunk if on_cpu else network.accelerator_chunk
