"""What a library states about one of its networks."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
    """What a library states about a network and its pictures.

    Attributes:
      origin: Origin of the weights, for people.
      sides: Height and width of the input in pixels; None if it is not stated.
      picture: Height and width of a picture before its centre is cut out; None for `sides`.
      mean: One number per channel in 0..255; None if it is not stated.
      std: One number per channel in 0..255; None if it is not stated.
      labels: Labels of the classes; None if they are not stated, or are ImageNet's.
      licence: Licence of the weights; empty if it is not stated.
      outputs: Kind of the numbers: "logits", "label-logits", or "auto" if it is not stated.
      sha256: SHA-256 of the file with the weights; empty for the SHA-256 of the numbers.
    """

    origin: str
    sides: tuple[int, int] | None = None
    picture: tuple[int, int] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    labels: tuple[str, ...] | None = None
    licence: str = ""
    outputs: str = "auto"
    sha256: str = ""


@dataclasses.dataclass(frozen=True)
class Found:
    """A module of PyTorch, and what is known about it.

    Attributes:
      module: Module, of type `torch.nn.Module`.
      facts: What its library states.
    """

    module: Any
    facts: Facts


def in_bytes(values: Any) -> tuple[float, ...]:
    """Numbers in 0..1 as numbers in 0..255.

    Args:
      values: One number per channel.
    """
    return tuple(255.0 * float(value) for value in values)
