"""The settings of `qd-fool ascend`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from qd_fool.ascent.config import AscentConfig
from qd_fool.errors import check_range
from qd_fool.models.load import Precision

Parametrization = Literal["pixels", "cppn"]


LEARNING_RATES = {"imagenet": 1.0, "digits": 4.0, "cppn": 0.03}
"""Of Adam and of constant steps. A digit has 250 times fewer pixels, which must go further each."""


@dataclasses.dataclass(frozen=True)
class AscendConfig:
    """Climb the network's gradient toward classes, from noise or from a run's elites.

    Writes a run directory like an evolution's, with ascent.csv and mean_subtracted/. Stop with
    Ctrl-C: what is finished is kept, and --resume goes on.
    """

    model: str | None = None
    """The network; `qd-fool models` lists them. That of --from if not given, else lenet."""
    classes: str = "all"
    """Toward which: indices, ranges from:to:step, labels; 291,340 or 0:1000:10 or lion. With
    --objective LAYER:UNIT they only name the cells in which the pictures are kept."""
    run_dir: Path | None = None
    """Where to write; a new directory under runs/, named by time, if not given."""
    preset: str = "adam"
    """Settings to begin with: adam (log-odds, Adam), paper (the original's), or one of the paper's
    supplement: seed-1, seed169, seed188, seed360. Flags beat it."""
    parametrization: Parametrization = "pixels"
    """What is moved: pixels, or the weights of CPPNs whose graphs stay as they are."""
    from_run: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """A run whose elites are the starts, each toward its own cell's class."""
    objective: str | None = None
    """What is climbed: log-odds, probability, logit (of the class), LAYER:UNIT or
    LAYER:CHANNEL,ROW,COLUMN (before its ReLU). Of a unit the strongest iterate is kept, of a class
    the most confident."""
    rule: str | None = None
    """How far a step goes: adam, progress (the original) or constant."""
    lr: float | None = None
    """adam, constant: the learning rate; if not given 1 gray level, 4 for digits, 0.03 for
    weights."""
    early: float | None = None
    """progress: what a step is to gain, of the confidence or whatever else is climbed."""
    late: float | None = None
    """progress: at most this share of what is missing."""
    max_lr: float | None = None
    """progress: bound on the learning rate."""
    decay: float | None = None
    """Pixels: share of the difference from the mean that each step takes away (L2)."""
    blur: float | None = None
    """Pixels: radius of a Gaussian blur after steps; 0 for none, else 0.3 or more."""
    blur_every: int | None = None
    """Pixels: steps from one blur to the next."""
    small_values: float | None = None
    """Pixels: percentile below which values are set to the mean after each step."""
    small_norms: float | None = None
    """Pixels: the same of pixels, by their norm."""
    low_benefit: float | None = None
    """Pixels: the same of pixels, by what setting them to the mean would gain."""
    low_abs_benefit: float | None = None
    """Pixels: the same, by the size of that."""
    iterations: int | None = None
    """Forward passes a picture, one more than there are steps; the preset's if not given."""
    start: str | None = None
    """Pixels: mean (the network's mean and unit noise), uniform (noise in 0..255), zero (the mean
    itself), or a PNG of the size that is climbed; mean if not given."""
    starts: int = 1
    """How many times each class is climbed, from noise of its own; the best is the elite."""
    seed: int = 0
    """Of all randomness: same seed, same pictures."""
    weights: Path | None = None
    """A weights file for the model instead of its own."""
    mean: Path | None = None
    """A mean image (.npy or .binaryproto) for the networks trained by Caffe on ImageNet."""
    precision: Precision = "float32"
    """float32, or bfloat16 for the network's parameters and arithmetic."""
    crops: int = 1
    """Crops averaged a picture: 1 (centre) or the paper's 10."""
    image_size: int | None = None
    """Side of the square pictures in pixels; the model's own, or those of --from, if not given."""
    chunk: int | None = None
    """Pictures at once, which bounds the network's memory; the model's own if not given."""
    block: int | None = None
    """Pictures kept together, and lost together on Ctrl-C; about a gigabyte of them if not given.
    Does not change the result."""
    devices: int | None = None
    """Devices to use; all if not given. Does not change the result."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = False
    """Go on with the run in --run-dir; its settings hold where none are given."""

    def __post_init__(self) -> None:
        check_range(self, "starts", "image_size", "chunk", "block", "devices", least=1)
        check_range(self, "seed", least=0, most=2**32 - 1)


# Free to differ between the parts of a resumed run: none of them touches the outcome.
NOT_COMPARED = ("run_dir", "resume", "devices", "block", "weights", "mean")


USED_WITH: dict[str, tuple[str, tuple[str, ...]]] = {
    "lr": ("rule", ("adam", "constant")),
    "early": ("rule", ("progress",)),
    "late": ("rule", ("progress",)),
    "max_lr": ("rule", ("progress",)),
}
"""Flags that only mean something where another has one of these values."""


OF_ASCENT = tuple(field.name for field in dataclasses.fields(AscentConfig))
