"""The seam between genomes and pictures: what an encoding is, and the table of them."""

import dataclasses
from collections.abc import Callable
from typing import Any

from jaxtyping import Array, Key, PyTree, UInt8

from qd_fool.registry import Registry


@dataclasses.dataclass(frozen=True)
class Encoding:
    """A family of genomes, as four pure functions over pytrees with a leading population axis.

    All randomness comes from one key an individual, so that results do not depend on how a batch
    is split over devices.

    Attributes:
      name: as registered.
      settings: the frozen dataclass it was built from; plain values, part of a run's config.
      image_shape: `(height, width, channels)` of its pictures.
      init: `keys (n,) -> genomes (n, ...)`, random individuals.
      vary: `keys (n,), parents, mates, generation -> offspring`: genomes `(n, ...)` each; `mates`
        are second parents, which an encoding without crossover ignores; `generation` a scalar.
      render: `genomes -> images (n, height, width, channels)`, uint8: exactly what is scored and
        saved.
      render_float: the same in units of 0..255, unrounded and differentiable; None where the
        genome has no gradient.
    """

    name: str
    settings: Any
    image_shape: tuple[int, int, int]
    init: Callable[[Key[Array, " n"]], PyTree[Array]]
    vary: Callable[[Key[Array, " n"], PyTree[Array], PyTree[Array], Array], PyTree[Array]]
    render: Callable[[PyTree[Array]], UInt8[Array, "n height width channels"]]
    render_float: Callable[[PyTree[Array]], Array] | None = None


EncodingBuilder = Callable[..., Encoding]
ENCODINGS: Registry[EncodingBuilder] = Registry("encoding")


def make_encoding(name: str, image_shape: tuple[int, int, int], **settings: Any) -> Encoding:
    """Build a registered encoding for pictures of a given shape.

    Args:
      name: "direct", ...
      image_shape: `(height, width, channels)`, for instance a scorer's `image_shape`.
      **settings: fields of the encoding's settings, for instance `genes="float"`.

    Raises:
      UserError: no such encoding, or a setting out of range.
    """
    return ENCODINGS[name](image_shape, **settings)
