"""The settings of `qd-fool retrain`. This module imports no JAX."""

import dataclasses
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import tyro

from qd_fool.commands.common.imports import Importing
from qd_fool.commands.common.settings import free
from qd_fool.commands.common.signals import Stoppable
from qd_fool.commands.common.together import Together, check_together
from qd_fool.errors import check_range

MNIST, IMAGENET = (MappingProxyType({"networks_of": name}) for name in ("MNIST", "ImageNet"))
"""Metadata of fields that apply only to networks of MNIST, or of ImageNet."""


@dataclasses.dataclass(frozen=True)
class RetrainConfig(Importing, Stoppable, Together):
    """Retrain a network on fooling images, and fool it again, as in the paper.

    Each round evolves pictures against a network, adds them to its training images as a new
    class ("fooling image"), trains the next network on all of them, and evolves against that one.
    LeNets train from scratch on MNIST; networks of ImageNet keep their weights and learn the class
    in their head. Ctrl-C stops at any time; --resume continues the unfinished round.
    """

    model: str = "lenet"
    """Network; `qd-fool models` lists them."""
    run_dir: Path | None = free(None)
    """Directory to write. Default: a new directory under runs/, named by time."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = free(False)
    """Continue the rounds in --run-dir. Settings that are not given are those of the run."""
    seed: int = 0
    """Seed of all randomness: the same seed gives the same table."""
    rounds: int | None = free(None)  # a resumed run may have more rounds
    """Number of networks, the first included (MNIST; the paper: 15). Number of retrainings
    (ImageNet); default: 1."""
    encoding: str = "cppn"
    """How genomes make pictures: direct or cppn, or an encoding of --import."""
    preset: str = "fast"
    """Settings of evolution: paper (the original's) or fast (our fastest settings: most confidence
    gained per evaluation)."""
    evaluations: int | None = None
    """Highest number of counted evaluations per evolution. Default: on MNIST 2,000 (direct) or
    4,000 (cppn), 40,200 with the paper's settings; on ImageNet 40,000."""
    seeds: int = dataclasses.field(default=100, metadata=MNIST)
    """Evolutions per round, run at once (MNIST); each adds one picture per digit."""
    held_out_seeds: int = dataclasses.field(default=10, metadata=MNIST)
    """Evolutions per round that are shown to the next network but not trained on (MNIST), and as
    many of the other encoding. 0 for none."""
    recipe: Literal["short", "caffe"] = dataclasses.field(default="short", metadata=MNIST)
    """Training recipe of each network (MNIST): a fifth of the images (short), or Caffe's recipe."""
    data_dir: Path | None = free(None)
    """Folder in which tensorflow-datasets keeps its data. Default: TFDS_DATA_DIR or
    ~/tensorflow_datasets."""
    weights: Path | None = dataclasses.field(default=None, metadata=IMAGENET)
    """Weights file for the model instead of its own (ImageNet)."""
    mean: Path | None = dataclasses.field(default=None, metadata=IMAGENET)
    """Mean image for networks trained by Caffe (ImageNet)."""
    photos: str | None = dataclasses.field(default=None, metadata=IMAGENET)
    """Photographs (ImageNet): a folder of <WNID>*.jpg or <WNID>/*.jpg, or a data set of
    tensorflow-datasets that is prepared, such as imagenet2012 or imagenet_v2. Every second one is
    held out."""
    most_photographs: int = dataclasses.field(default=5000, metadata=IMAGENET)
    """Highest number of photographs to use (ImageNet), evenly spaced; 0.2 MB of memory each."""
    evolved: Path | None = dataclasses.field(default=None, metadata=IMAGENET)
    """Finished run against this network, to take as the pictures of the first round (ImageNet)."""
    train: Literal["head", "blocks"] = dataclasses.field(default="head", metadata=IMAGENET)
    """Weights that learn (ImageNet): the new class's weights in the last layer, or all of that
    layer and the block before it."""
    epochs: int = dataclasses.field(default=5, metadata=IMAGENET)
    """Passes over photographs and evolved pictures (ImageNet)."""
    learning_rate: float | None = dataclasses.field(default=None, metadata=IMAGENET)
    """Learning rate of Adam for the new class (ImageNet); default: 0.003. All other weights learn
    at a thirtieth of it."""
    distillation: float = dataclasses.field(default=50.0, metadata=IMAGENET)
    """Weight of the penalty for leaving the first network's answers on photographs (ImageNet)."""
    batch_size: int = dataclasses.field(default=40, metadata=IMAGENET)
    """Pictures per training step (ImageNet)."""

    def __post_init__(self) -> None:
        """Check the numbers.

        Raises:
          UserError: A number is out of range.
        """
        check_range(self, "rounds", "evaluations", "seeds", "epochs", "batch_size", least=1)
        check_range(self, "held_out_seeds", "learning_rate", "distillation", least=0)
        check_range(self, "most_photographs", least=2)
        check_range(self, "seed", least=0, most=2**31 - 1)
        check_together(self)


@dataclasses.dataclass(frozen=True)
class RetrainResult:
    """The result of a retraining.

    Attributes:
      run_dir: Directory of the retraining.
      rows: Rows of the table, one per network.
      interrupted: Whether Ctrl-C (or SIGTERM) ended the retraining early.
    """

    run_dir: Path
    rows: list[dict[str, Any]]
    interrupted: bool
