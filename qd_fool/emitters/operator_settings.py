"""Settings of emitters that change one thing at a time. This module imports no JAX."""

import dataclasses

from qd_fool.emitters.parent_rules import Parents, check_parents
from qd_fool.registry import setting


@dataclasses.dataclass(frozen=True)
class OperatorSettings:
    """Settings of an emitter with a step size, which the run adapts.

    Attributes:
      step: Mean size of a fine step, at first: in weights of a CPPN, or in gray levels. The run
        enlarges it for a cell whose offspring succeed, and shrinks it where they fail. None means
        the encoding's.
      parents: Selection of parents for this emitter, as for variation.
    """

    step: float | None = None
    parents: str = setting("promising", choices=Parents)

    def __post_init__(self) -> None:
        check_parents(self.parents)
