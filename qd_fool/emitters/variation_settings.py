"""Settings of the paper's emitter. This module imports no JAX."""

import dataclasses

from qd_fool.emitters.parent_rules import Parents, check_parents
from qd_fool.registry import setting


@dataclasses.dataclass(frozen=True)
class VariationSettings:
    """Settings of the paper's emitter.

    Attributes:
      parents: Selection of parents for variation: uniform over the occupied cells (the original);
        or, of two cells so drawn, the young (born later), weak or strong one (by confidence); or
        promising: most offspring for cells whose confidence is neither low nor high; or unsure: the
        lower a cell's confidence, the more.
    """

    # Uniform: map_elite.hpp:189-192 of the original code.
    parents: str = setting("uniform", flag="parents", choices=Parents)

    def __post_init__(self) -> None:
        check_parents(self.parents)
