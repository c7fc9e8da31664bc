"""Settings of the gradient emitter. This module imports no JAX."""

import dataclasses

from qd_fool.errors import check_range


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
        check_range(self, "steps", least=1, owner="gradient")
        check_range(self, "rate", above=0, owner="gradient")
        check_range(self, "ceiling", above=0, below=1, owner="gradient")
