"""The interface of emitters, which make offspring; and the registration of emitters.

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
"""Evaluations that a gradient step counts as. On a CPU, a forward and a backward pass took as
long as 3.9 forward passes; `benchmarks/ascent_speed.py` repeats the measurement."""


@dataclasses.dataclass(frozen=True)
class Climb:
    """A climb along the network's gradient, in parts between which the host asks the network.

    Attributes:
      steps: Number of gradient steps.
      begin: `genomes -> values (n, size), memory`.
      draw: `genomes, values -> images (n, height, width, channels)` in 0..255, differentiable.
      move: `genomes, values, memory, slope (n, size) -> values, memory`, where the slope is that
        of the log-odds of each genome's class.
      end: `genomes, values -> genomes`.
    """

    steps: int
    begin: Callable[[PyTree[Array]], tuple[Array, PyTree[Array]]]
    draw: Callable[[PyTree[Array], Array], Array]
    move: Callable[[PyTree[Array], Array, PyTree[Array], Array], tuple[Array, PyTree[Array]]]
    end: Callable[[PyTree[Array], Array], PyTree[Array]]


@dataclasses.dataclass(frozen=True)
class Emitter:
    """A source of offspring, as pure functions over batches.

    Attributes:
      evaluations: Counted evaluations per offspring. The offspring's score is one of them.
      choose: `keys (n,), archive, rank (n,) -> cells (n, 2)`, the cells of parents and mates.
        `rank` counts this emitter's offspring since the run began.
      emit: `keys (n,), parents, mates, generation -> genomes`.
      improve: `params, genomes (n, ...), classes (n,) -> genomes`, the part that needs the network;
        `classes` are those of the parents' cells. None if the emitter does not need the network.
      climb: The same as `improve` in parts, for networks that run on the host; None if the emitter
        can't be used with them.
    """

    evaluations: int
    choose: Callable[[Key[Array, " n"], ClassArchive, Int[Array, " n"]], Int[Array, "n 2"]]
    emit: Callable[[Key[Array, " n"], PyTree[Array], PyTree[Array], Array], PyTree[Array]]
    improve: Callable[[PyTree[Array], PyTree[Array], Int[Array, " n"]], PyTree[Array]] | None = None
    climb: Climb | None = None


EmitterBuilder = Callable[[Any, Encoding, Network | None, int], Emitter]


def register_emitter(
    name: str, *, settings: type[Any]
) -> Callable[[EmitterBuilder], EmitterBuilder]:
    """A decorator that registers a builder of an emitter.

    Args:
      name: Name of the emitter.
      settings: Frozen dataclass of its settings; see `SettingsRegistry.register_builder`.
    """
    return EMITTERS.register_builder(name, settings)
