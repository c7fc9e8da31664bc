"""Where offspring come from: the seam, and the table of emitters.

Every offspring competes in every cell, whichever emitter made it.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Int, Key, PyTree

from qd_fool.archive import ClassArchive
from qd_fool.emitters.table import EMITTERS
from qd_fool.encodings import Encoding
from qd_fool.models.network import Network

STEP_EVALUATIONS = 4
"""Evaluations that a gradient step counts as: forward and backward were measured at 3.9 forwards
on CPU; `benchmarks/ascent_speed.py` measures it again."""


@dataclasses.dataclass(frozen=True)
class Emitter:
    """A source of offspring, as pure functions over batches.

    Attributes:
      evaluations: Evaluations that an offspring counts as, in pictures that the network sees. The
        offspring's score is one of them.
      choose: `keys (n,), archive, rank (n,) -> cells (n, 2)` of parents and mates; `rank` counts
        this emitter's offspring since the run began.
      emit: `keys (n,), parents, mates, generation -> genomes`.
      improve: `params, genomes (n, ...), classes (n,) -> genomes`: the part that needs the network,
        for the classes of the parents' cells. None where no part does.
    """

    evaluations: int
    choose: Callable[[Key[Array, " n"], ClassArchive, Int[Array, " n"]], Int[Array, "n 2"]]
    emit: Callable[[Key[Array, " n"], PyTree[Array], PyTree[Array], Array], PyTree[Array]]
    improve: Callable[[PyTree[Array], PyTree[Array], Int[Array, " n"]], PyTree[Array]] | None = None


EmitterBuilder = Callable[[Any, Encoding, Network | None, int], Emitter]


def register_emitter(
    name: str, *, settings: type[Any]
) -> Callable[[EmitterBuilder], EmitterBuilder]:
    """A decorator that enters a builder of an emitter: `SettingsRegistry.register_builder`."""
    return EMITTERS.register_builder(name, settings)
