"""The settings of `qd-fool reproduce`. This module imports no JAX."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from qd_fool.commands.common.imports import Importing
from qd_fool.commands.common.signals import Stoppable
from qd_fool.errors import UserError, check_range


@dataclasses.dataclass(frozen=True)
class ReproduceConfig(Importing, Stoppable):
    """Run the paper's experiments, and compare the results with the paper's figures.

    Each experiment is a command, which is printed; the summary shows it beside the figures. Run the
    same command again to continue; finished experiments stay.
    """

    experiments: Annotated[Literal["mnist", "imagenet"], tyro.conf.Positional]
    """mnist: under an hour on two cores; imagenet: about as long with the default --budget."""
    out: Path | None = None
    """Directory to write: summary.md, summary.csv, plots, and one directory per run. Default:
    runs/reproduce-mnist or runs/reproduce-imagenet."""
    seeds: int | None = None
    """Evolutions per kind, with seeds 0, 1, ...; default: 5 on MNIST, 1 on ImageNet."""
    encoding: Literal["direct", "cppn", "both"] = "direct"
    """Encoding of the retraining rounds (MNIST)."""
    rounds: int = 15
    """Networks in the retraining table (MNIST)."""
    recipe: Literal["short", "caffe"] = "short"
    """Training recipe (MNIST): the short one, or Caffe's."""
    data_dir: Path | None = None
    """Folder in which tensorflow-datasets keeps its data (MNIST)."""
    budget: int = 40_000
    """Counted evaluations per evolution (ImageNet); the paper's took 2,000,800."""
    networks: tuple[str, ...] = ("squeezenet1.1", "efficientnet-lite0", "efficientnet-lite1")
    """Networks (ImageNet): NAME or NAME=WEIGHTS. Pictures are evolved against the first, and
    against the first two together; all networks score all pictures."""
    photos: str | None = None
    """Photographs for retraining (ImageNet), as in `qd-fool retrain`; without them there is no
    retraining."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
          UserError: A number is out of range, or there are too few networks.
        """
        check_range(self, "seeds", "rounds", "budget", least=1)
        if len(self.networks) < 3:
            raise UserError(
                f"--networks names {len(self.networks)}: expected 3 or more, two to fool at once "
                "and one that is held out"
            )
