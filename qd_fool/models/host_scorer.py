"""A network that runs on the host, outside JAX: a function of NumPy arrays, and its facts."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, UInt8

from qd_fool.models.sides import Size

__all__ = ["HostScorer"]

Pictures = UInt8[np.ndarray, "n height width channels"]


def _as_it_is(crops: Array) -> Array:
    """The default of `HostScorer.prepare`."""
    return crops


def _nothing() -> None:
    """The default of `HostScorer.cancel`."""


@dataclasses.dataclass(frozen=True, eq=False)
class HostScorer:
    """A classifier that JAX can't compile, with everything that is needed to score 8-bit pictures.

    It states the same facts as a `Scorer`. JAX draws and crops the pictures, and the host calls the
    network on NumPy arrays.

    Attributes:
      name: Name of the network.
      score: Function from crops `(n, height, width, channels)`, RGB or gray, to finite numbers
        `(n, numbers)`. The crops are as `prepare` and `hand` make them.
      numbers: Numbers that the network gives per picture.
      to_logits: JAX function from these numbers to logits `(n, classes)`.
      image_shape: Shape of a genome's picture, `(height, width, channels)`.
      input_size: Side of the network's square input in pixels, or its height and width.
      class_names: One name per class, in order of index.
      gradient: Function from crops and weights `(n, numbers)` to the gradient of
        `sum(weights * score(crops))` with respect to what `prepare` returns, for crops in units of
        0..255; None if there is no gradient.
      prepare: JAX function from crops, 8-bit or float, to the array that the host gets.
      hand: Function that hands an array of JAX, `(crops, n, ...)`, over to the host's framework.
        The result can be indexed in the same way.
      chunk: Pictures per call.
      accelerator_chunk: Pictures per call on a machine with a GPU or TPU.
      in_flight: Calls at the same time, from as many threads. With 1, the main thread calls.
      check: Function that raises a `UserError` if the network does not accept so many more calls,
        because of a budget. None if there is no limit.
      cancel: Function that makes calls in other threads end soon, because one of them failed.
      wnids, weights, weights_sha256, mean, multilabel: As in `Scorer`.
    """

    name: str
    score: Callable[[Pictures], Float[np.ndarray, "n numbers"]]
    numbers: int
    to_logits: Callable[[Float[Array, "n numbers"]], Float[Array, "n classes"]]
    image_shape: tuple[int, int, int]
    input_size: Size
    class_names: tuple[str, ...]
    gradient: (
        Callable[
            [Pictures, Float[np.ndarray, "n numbers"]], Float[np.ndarray, "n height width channels"]
        ]
        | None
    ) = None
    prepare: Callable[[Array], Array] = _as_it_is
    hand: Callable[[Array], Any] = np.asarray
    chunk: int = 50
    accelerator_chunk: int = 50
    in_flight: int = 1
    check: Callable[[int], None] | None = None
    cancel: Callable[[], None] = _nothing
    wnids: tuple[str, ...] = ()
    weights: str = ""
    weights_sha256: str = ""
    mean: tuple[float, ...] = ()
    multilabel: bool = False

    def answer(
        self, crops: UInt8[np.ndarray, "n height width channels"]
    ) -> Float[np.ndarray, "n numbers"]:
        """Return the numbers of crops in 0..255, which it prepares and hands over itself.

        Args:
          crops: At most `chunk` crops.
        """
        return self.score(self.hand(jax.jit(self.prepare)(crops)))

    @property
    def params(self) -> tuple[()]:
        """The parameters that JAX knows: none."""
        return ()
