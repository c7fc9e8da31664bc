"""What `qd-fool retrain` can be told."""

import dataclasses
from pathlib import Path
from typing import Any, Literal

import tyro

from qd_fool.errors import check_range


@dataclasses.dataclass(frozen=True)
class RetrainConfig:
    """Does a network that has seen fooling images still get fooled? The paper's retraining.

    Each round evolves pictures against a network, adds them to its training images as one class
    more ("fooling image"), trains the next network on all of them, and evolves against that one.
    LeNets train from scratch on MNIST; networks of ImageNet keep their weights, and learn the class
    in their head. Stop with Ctrl-C at any time: --resume goes on with the round that was begun.
    """

    model: str = "lenet"
    """The network; `qd-fool models` lists them."""
    run_dir: Path | None = None
    """Where to write; a new directory under runs/, named by time, if not given."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on with the rounds in --run-dir; its settings hold where none are given."""
    seed: int = 0
    """Of all randomness: same seed, same table."""
    rounds: int | None = None
    """MNIST: networks, the first included, each evolved against; the paper's 15 if not given.
    ImageNet: how often the network is trained anew; once if not given."""
    encoding: str = "cppn"
    """How genomes make pictures: direct or cppn."""
    preset: str = "fast"
    """Settings of evolution: paper (the original's) or fast (most confidence per evaluation)."""
    evaluations: int | None = None
    """Counted evaluations of each evolution, at most. If not given, on MNIST 2,000 (direct) or
    4,000 (cppn), 40,200 with the paper's settings; on ImageNet 40,000."""
    seeds: int = 100
    """MNIST: evolutions a round, at once; each adds a picture a digit."""
    held_out_seeds: int = 10
    """MNIST: evolutions a round that are shown to the next network, but not trained on; as many of
    the other encoding, too. 0 for none."""
    recipe: Literal["short", "caffe"] = "short"
    """MNIST: how each network is trained: on a fifth of the images, or with Caffe's recipe."""
    data_dir: Path | None = None
    """Where tensorflow-datasets keeps its data; TFDS_DATA_DIR or ~/tensorflow_datasets if not
    given."""
    weights: Path | None = None
    """ImageNet: a weights file for the model instead of its own."""
    mean: Path | None = None
    """ImageNet: a mean image, for networks trained by Caffe."""
    photos: str | None = None
    """ImageNet: photographs: a folder of <WNID>*.jpg or <WNID>/*.jpg, or a data set of
    tensorflow-datasets that is prepared, such as imagenet2012 or imagenet_v2. Every second one is
    held out."""
    most_photographs: int = 5000
    """ImageNet: photographs that are taken of more, evenly spaced; 0.2 MB of memory each."""
    evolved: Path | None = None
    """ImageNet: a finished run against this network, to take as the pictures of the first round."""
    train: Literal["head", "blocks"] = "head"
    """ImageNet: what learns: the new class's weights in the last layer, or all of that layer and
    the block before it."""
    epochs: int = 5
    """ImageNet: passes over photographs and evolved pictures."""
    learning_rate: float | None = None
    """ImageNet: of Adam, for the new class; 0.003 if not given. All else learns at a thirtieth."""
    distillation: float = 50.0
    """ImageNet: weight of staying near to the first network's answers on photographs."""
    batch_size: int = 40
    """ImageNet: pictures a step of training."""

    def __post_init__(self) -> None:
        """Refuse what no retraining could mean.

        Raises:
          UserError: a number out of range.
        """
        check_range(self, "rounds", "evaluations", "seeds", "epochs", "batch_size", least=1)
        check_range(self, "held_out_seeds", "learning_rate", "distillation", least=0)
        check_range(self, "most_photographs", least=2)
        check_range(self, "seed", least=0, most=2**31 - 1)


@dataclasses.dataclass(frozen=True)
class RetrainResult:
    """What a retraining came to.

    Attributes:
      run_dir: where everything is.
      rows: of the table, one a network.
      interrupted: whether Ctrl-C (or SIGTERM) ended it early.
    """

    run_dir: Path
    rows: list[dict[str, Any]]
    interrupted: bool
