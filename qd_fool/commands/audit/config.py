"""The settings of `qd-fool audit`. This module imports no JAX."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from qd_fool.choices import Precision
from qd_fool.commands.common.foreign import Pictured
from qd_fool.commands.common.imports import Importing
from qd_fool.commands.common.settings import free
from qd_fool.commands.common.signals import Stoppable
from qd_fool.errors import UserError, check_range

BUDGETS = {"quick": (5_000, 20_000), "standard": (100_000, 100_000), "deep": (500_000, 500_000)}
"""Counted evaluations by name: of a classifier with up to 100 classes, and with more."""

LEAST_BUDGET = 400
"""Lowest budget: below it, a search has hardly begun."""

FEW_CLASSES = 100
"""Highest number of classes for the first budget."""


@dataclasses.dataclass(frozen=True)
class AuditConfig(Pictured, Importing, Stoppable):
    """Audit a classifier: how many classes can be claimed, how soon, by pictures of nothing?

    Evolves fooling pictures with both encodings and climbs the gradient where there is one; checks
    confidence, calibration and preprocessing on photographs; measures whether detectors would help.
    Writes audit.html, audit.md, audit.json and junit.xml. The same command continues an audit that
    was stopped. Exit code 1 if a condition of --fail-if or --baseline fails.
    """

    model: str = "lenet"
    """Classifier: a name that `qd-fool models` lists, or your own: onnx:FILE,
    python:FILE.py:FUNCTION, or https://... for a service."""
    budget: str = "quick"
    """Counted evaluations of the searches, per seed: quick (5,000 for up to 100 classes, else
    20,000), standard (100,000), deep (500,000), or a number. Photographs, probes and the scoring of
    finished pictures are not counted."""
    seeds: int = 1
    """Searches per method, with seeds 0, 1, ...; from three on, intervals are over seeds."""
    photos: Path | None = None
    """Photographs of the classes: DIR/<class name or index>/FILE, DIR/<WNID>*.jpg, or a CSV file
    with the columns path and class. Default: MNIST's test set for ten digits if it is prepared,
    else none, and sections that need labels say so."""
    out: Path | None = free(None)
    """Directory to write. Default: a new directory under runs/, named by time."""
    weights: Path | None = free(None)
    """Weights file for the classifier instead of its own."""
    mean: Path | None = free(None)
    """Mean image (.npy or .binaryproto) for the networks trained by Caffe on ImageNet; for a
    network of your own one number or three with commas between, in 0..255."""
    precision: Precision = "float32"
    """Type of the network's parameters and arithmetic: float32 or bfloat16."""
    convert: tyro.conf.FlagCreatePairsOff[bool] = False
    """Turn photographs that are gray, CMYK, 16-bit or the like into 8-bit RGB, or into gray."""
    unknown: str | None = None
    """Class for unknown pictures, by index or label, which does not count as fooled. Default: a
    class named "unknown", "none of the above" or such, if there is one; "none" for no class."""
    fail_if: Annotated[
        tyro.conf.UseAppendAction[tuple[str, ...]], tyro.conf.arg(metavar="CONDITION")
    ] = free(())
    """Condition that fails the audit, such as 'fooled@.99 > 10%'. Repeat the flag for several."""
    baseline: Path | None = free(None)
    """audit.json of an earlier audit. Fails if a metric is worse by more than --max-regression, and
    not by chance. Fooling pictures beside the file are shown to this classifier, too."""
    max_regression: float = free(0.05)
    """Most that a metric may be worse than the baseline, absolute."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
          UserError: A number is out of range, or there is no such budget.
        """
        check_range(self, "seeds", least=1, most=100)
        check_range(self, "max_regression", least=0, most=1)
        if self.budget not in BUDGETS and not self.budget.replace("_", "").isdecimal():
            raise UserError(
                f"--budget is {self.budget}: expected {', '.join(BUDGETS)}, or a number of "
                "evaluations"
            )
        if self.budget not in BUDGETS and not LEAST_BUDGET <= int(self.budget) <= 10**9:
            raise UserError(f"--budget is {self.budget}: expected {LEAST_BUDGET} to 1,000,000,000")


def evaluations_of_budget(budget: str, *, classes: int) -> int:
    """Return the counted evaluations of a budget.

    Args:
      budget: Name or number.
      classes: Number of classes.
    """
    if budget in BUDGETS:
        return BUDGETS[budget][classes > FEW_CLASSES]
    return int(budget)
