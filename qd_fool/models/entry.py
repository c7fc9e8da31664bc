"""An entry of the zoo: the facts and functions of a network. This module imports no JAX."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from qd_fool.models.origin import Origin

__all__ = ["ZooEntry"]


@dataclasses.dataclass(frozen=True)
class ZooEntry:
    """A network: the facts that `qd-fool models` prints, and its functions.

    Attributes:
      name: Name of the network, as `--model` takes it.
      architecture: Name of the architecture, for people.
      source: Origin of the weights in words: who trained them, and how.
      licence: Licence of the weights.
      parameters: Number of trained parameters.
      preprocessing: Preprocessing in words, for people.
      accuracy: Published accuracy; or the measured one, with the command that measures it.
      origin: Place from which the weights are loaded.
      shapes: Shapes of the arrays of a weights file, by the architecture's names: the parameters,
        and the running statistics of batch normalisation.
      params_from_flat: Function from the arrays of a weights file to parameters,
        `(flat, source=...) -> params`. That of a Caffe network also takes `mean`.
      mean: Mean colour (BGR) that a Caffe network subtracts; None for other networks.
      centre: Value per channel, in 0..255, that the preprocessing of other networks subtracts; see
        `Scorer.mean`.
      apply, preprocess, image_shape, input_size, chunk, accelerator_chunk: Fields of the `Scorer`.
        The functions of this project's networks are `LazyFunction`s, which import JAX at their
        first call.
      imagenet: Whether the classes are ImageNet's 1000. Otherwise they are the ten digits.
    """

    name: str
    architecture: str
    source: str
    licence: str
    parameters: int
    preprocessing: str
    accuracy: str
    origin: Origin
    shapes: Mapping[str, tuple[int, ...]]
    params_from_flat: Callable[..., Any]
    apply: Callable[..., Any]
    preprocess: Callable[..., Any]
    image_shape: tuple[int, int, int]
    input_size: int
    chunk: int
    accelerator_chunk: int = 100
    mean: tuple[float, float, float] | None = None
    centre: tuple[float, ...] = (0.0,)
    imagenet: bool = True
