"""Settings of the gradient emitter. This module imports no JAX."""

import dataclasses
import math

from qd_fool.errors import UserError


@dataclasses.dataclass(frozen=True)
class GradientSettings:
    """Settings of the gradient emitter.

    Attributes:
      steps: Steps per offspring of the gradient emitter (Adam on the log-odds of the parent's
        class); each counts as four evaluations.
      rate: Learning rate of the gradient emitter, in gray levels or a CPPN's weights. None means
        the encoding's.
      ceiling: Confidence from which the gradient emitter skips a cell.
    """

    steps: int = 8
    rate: float | None = None
    ceiling: float = 0.9999

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"gradient-steps is {self.steps}: expected 1 or more")
        if self.rate is not None and not 0.0 < self.rate < math.inf:
            raise UserError(f"gradient-rate is {self.rate}: expected above 0")
        if not 0.0 < self.ceiling < 1.0:
            raise UserError(f"gradient-ceiling is {self.ceiling}: expected between 0 and 1")
