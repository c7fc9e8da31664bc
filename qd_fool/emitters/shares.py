"""How emitters share a batch."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Int

from qd_fool.emitters.table import EMITTERS
from qd_fool.errors import UserError


@dataclasses.dataclass(frozen=True)
class Share:
    """An emitter's part of each batch.

    Attributes:
      name: Name of the emitter.
      share: Share relative to the shares of other emitters, above 0.
      settings: Instance of the dataclass that the emitter is registered with.
    """

    name: str
    share: float
    settings: Any

    def __post_init__(self) -> None:
        wanted = EMITTERS[self.name].settings
        if not isinstance(self.settings, wanted):
            raise UserError(f"emitter {self.name}: expected {wanted.__name__} as its settings")
        if not 0.0 < self.share < np.inf:
            raise UserError(f"emitter {self.name}: its share is {self.share}, expected above 0")


def chunk_emitters(shares: Sequence[Share], chunks: int) -> Int[np.ndarray, " chunks"]:
    """Assign an emitter to each chunk of a batch, so that the emitters are mixed evenly.

    Each chunk goes to the emitter that is furthest behind its share; of equals, to the first. The
    result does not depend on the number of devices, and each device gets about the same mixture.

    Args:
      shares: Shares of the emitters.
      chunks: Number of chunks in a batch.
    """
    if len(shares) == 1:
        return np.zeros(chunks, np.int32)
    parts = np.array([s.share for s in shares]) / sum(s.share for s in shares)
    # Rounding makes equal shares tie, despite differences in the last bits.
    given = np.zeros(len(parts))
    order = np.zeros(chunks, np.int32)
    for chunk in range(chunks):
        order[chunk] = int(np.argmax(np.round(parts * (chunk + 1) - given, 9)))
        given[order[chunk]] += 1
    return order
