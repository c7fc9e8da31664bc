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
      name: as registered.
      share: relative to the others' shares, above 0.
      settings: an instance of the entry's `settings`.
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
    """Which emitter fills which chunk of a batch: whole chunks, mixed as evenly as can be.

    Each chunk goes to whoever is furthest behind its share, the first of equals. It does not depend
    on devices, each of which gets about the same mixture.

    Args:
      shares: of the emitters.
      chunks: of a batch.
    """
    if len(shares) == 1:
        return np.zeros(chunks, np.int32)
    parts = np.array([s.share for s in shares]) / sum(s.share for s in shares)
    # Rounded, so that equal shares are equally far behind whatever the last bits say.
    given = np.zeros(len(parts))
    order = np.zeros(chunks, np.int32)
    for chunk in range(chunks):
        order[chunk] = int(np.argmax(np.round(parts * (chunk + 1) - given, 9)))
        given[order[chunk]] += 1
    return order
