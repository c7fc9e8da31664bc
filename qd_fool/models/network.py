"""Every kind of network that pictures can be shown to.

All kinds state the same facts: `name`, `params`, `image_shape`, `input_size`, `class_names`,
`chunk`, `accelerator_chunk`, `wnids`, `weights`, `weights_sha256` and `mean`. How a kind answers is
decided in two functions: `scoring.crops.check_crops`, whether it takes pictures of a size, and
`scoring.log_odds.log_odds`, its log-odds of every class. A new kind is a class, a member of
`Network`, and a case in each of the two: the type checker names them.
"""

import jax

from qd_fool.models.joint import JointScorer
from qd_fool.models.scorer import Scorer

__all__ = ["Network", "default_chunk"]

Network = Scorer | JointScorer
"""A network of any kind, or several as one."""


def default_chunk(network: Network) -> int:
    """Number of pictures scored at once by default, on this machine's kind of device.

    It divides the paper's batches over one, two or four devices: what is left over of a batch is
    filled up with pictures whose scores are thrown away.
    """
    on_cpu = jax.default_backend() == "cpu"
    return network.chunk if on_cpu else network.accelerator_chunk
