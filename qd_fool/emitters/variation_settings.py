"""Settings of the paper's emitter. This module imports no JAX."""

import dataclasses
from typing import Literal, get_args

from qd_fool.errors import UserError
from qd_fool.registry import setting

Parents = Literal["uniform", "young", "weak", "strong"]


@dataclasses.dataclass(frozen=True)
class VariationSettings:
    """Settings of the paper's emitter.

    Attributes:
      parents: Selection of parents for variation: uniform over the occupied cells (the original);
        or, of two cells so drawn, the young (born later), weak or strong one (by confidence).
    """

    # Uniform: map_elite.hpp:189-192 of the original code.
    parents: str = setting("uniform", flag="parents", choices=Parents)

    def __post_init__(self) -> None:
        if self.parents not in get_args(Parents):
            raise UserError(
                f"parents is {self.parents!r}: expected one of {', '.join(get_args(Parents))}"
            )
