"""Settings of `qd-fool reproduce`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from qd_fool.commands.evolve.flags import flag
from qd_fool.errors import UserError


@dataclasses.dataclass(frozen=True)
class ReproduceConfig:
    """Run the paper's experiments, and compare the results with the paper's figures.

    Each experiment is a command of its own, which is printed, and which the summary shows beside
    its figures. Run the same command again to continue; finished experiments stay.
    """

    what: Annotated[Literal["mnist", "imagenet"], tyro.conf.Positional]
    """mnist: under an hour on two cores; imagenet: about as long with the default --budget."""
    out: Path | None = None
    """Where to write: summary.md, summary.csv, plots, and one directory per run;
    runs/reproduce-mnist or runs/reproduce-imagenet if not given."""
    seeds: int | None = None
    """Evolutions of a kind, with seeds 0, 1, ...; 5 on MNIST, 1 on ImageNet if not given."""
    encoding: Literal["direct", "cppn", "both"] = "direct"
    """MNIST: encoding of the pictures in the retraining rounds."""
    rounds: int = 15
    """MNIST: networks in the retraining table."""
    recipe: Literal["short", "caffe"] = "short"
    """MNIST: how networks are trained: the short recipe, or Caffe's."""
    data_dir: Path | None = None
    """MNIST: where tensorflow-datasets keeps its data."""
    budget: int = 40_000
    """ImageNet: counted evaluations of an evolution; those of the paper took 2,000,800."""
    networks: tuple[str, ...] = ("squeezenet1.1", "efficientnet-lite0", "efficientnet-lite1")
    """ImageNet: NAME or NAME=WEIGHTS. Pictures are evolved against the first network, and against
    the first two at once; all networks score all pictures."""
    photos: str | None = None
    """ImageNet: photographs for retraining, as in `qd-fool retrain`; no retraining without."""

    def __post_init__(self) -> None:
        """Refuse settings that can't be run.

        Raises:
          UserError: A number is out of range, or there are too few networks.
        """
        for name in ("seeds", "rounds", "budget"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{flag(name)} is {value}: expected 1 or more")
        if len(self.networks) < 3:
            raise UserError(
                f"--networks names {len(self.networks)}: expected 3 or more, two to be fooled at "
                "once and one that is held out"
            )
