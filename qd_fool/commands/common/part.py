"""A search that is a part of a larger command, such as an audit."""

import dataclasses

from qd_fool.commands.common.progress import Stretch
from qd_fool.models.network import Network


@dataclasses.dataclass(frozen=True, eq=False)
class Part:
    """What a larger command gives to a search that it runs in the same process.

    The search reads no weights and shows no noise to the network: the larger command has done both.

    Attributes:
      scorer: Network of the search, loaded already.
      stretch: Stretch of the larger command's progress bar.
    """

    scorer: Network
    stretch: Stretch
