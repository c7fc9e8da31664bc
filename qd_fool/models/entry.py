"""What is known of a network of the zoo, and the table of networks."""

import dataclasses
from collections.abc import Callable

from jaxtyping import Array, PyTree

from qd_fool.models.name_map import Shapes
from qd_fool.models.origin import Origin
from qd_fool.models.preprocessing import Preprocess
from qd_fool.registry import Registry

__all__ = ["ZOO", "ZooEntry"]


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
      apply, preprocess, image_shape, input_size, chunk, accelerator_chunk: as in `Scorer`.
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
    shapes: Shapes
    params_from_flat: Callable[..., PyTree[Array]]
    apply: Callable[..., Array]
    preprocess: Preprocess
    image_shape: tuple[int, int, int]
    input_size: int
    chunk: int
    accelerator_chunk: int = 100
    mean: tuple[float, float, float] | None = None
    centre: tuple[float, ...] = (0.0,)
    imagenet: bool = True


ZOO: Registry[ZooEntry] = Registry("model")
