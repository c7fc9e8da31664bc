"""What is known of a network of the zoo, and the type of its table. This module imports no JAX."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from qd_fool.models.origin import Origin

__all__ = ["ZooEntry"]


@dataclasses.dataclass(frozen=True)
class ZooEntry:
    """What is known of a network: the facts that `qd-fool models` prints, and its functions.

    Attributes:
      name: how it is asked for.
      architecture: for people.
      source: who trained the weights, and how.
      licence: of the weights.
      parameters: how many numbers were trained.
      preprocessing: for people.
      accuracy: as published, or as measured by the command that is named with it.
      origin: where the weights come from.
      shapes: the arrays of a weights file as the architecture names them; besides what was trained,
        the running statistics of batch normalisation.
      params_from_flat: the architecture's name map, `(flat, source=...) -> params`; Caffe's also
        take `mean`.
      mean: BGR, of the networks of Caffe's that subtract one; else None.
      centre: of the others: what their preprocessing subtracts, a channel, in 0..255; as
        `Scorer.mean`.
      apply, preprocess, image_shape, input_size, chunk, accelerator_chunk: as in `Scorer`. The
        project's own networks have `LazyFunction`s here, which import JAX when they are called.
      imagenet: whether the classes are ImageNet's 1000; else ten digits.
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
