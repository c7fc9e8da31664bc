"""The settings of `qd-fool ascend`. This module imports no JAX."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import tyro

from qd_fool.choices import Precision
from qd_fool.commands.common.foreign import Pictured
from qd_fool.commands.common.imports import Importing
from qd_fool.commands.common.settings import free
from qd_fool.commands.common.signals import Stoppable
from qd_fool.commands.common.together import Together, check_together
from qd_fool.errors import check_range

Parametrization = Literal["pixels", "cppn"]


LEARNING_RATES = {"imagenet": 1.0, "digits": 4.0, "cppn": 0.03}
"""Default learning rates of Adam and of constant steps. A digit has 250 times fewer pixels, so each
pixel must change more."""


@dataclasses.dataclass(frozen=True)
class AscendConfig(Pictured, Importing, Stoppable, Together):
    """Climb the network's gradient toward classes, from noise or from a run's elites.

    Writes a run directory like an evolution's, with ascent.csv and mean_subtracted/. Ctrl-C keeps
    finished pictures; --resume continues.
    """

    model: str | None = None
    """Network: a name that `qd-fool models` lists, or your own: onnx:FILE, or
    python:FILE.py:FUNCTION for a function that has a gradient. Default: the network of --from, else
    lenet."""
    classes: str = "all"
    """Target classes: indices, ranges from:to:step, WNIDs or labels, such as 291,340 or 0:1000:10
    or lion. With --objective LAYER:UNIT they only name the cells that keep the pictures."""
    run_dir: Path | None = free(None)
    """Directory to write. Default: a new directory under runs/, named by time."""
    preset: str = "adam"
    """Settings for flags that are not given: adam (log-odds, Adam), paper (the original's), or one
    of the paper's supplement: seed-1, seed169, seed188, seed360."""
    parametrization: Parametrization = "pixels"
    """Parameters that move: pixels, or the weights of CPPNs whose graphs do not change."""
    from_run: Annotated[Path | None, tyro.conf.arg(name="from")] = None
    """Run whose elites are the starts, each toward the class of its own cell."""
    objective: str | None = None
    """Value to climb: log-odds, probability, logit (of the class), LAYER:UNIT or
    LAYER:CHANNEL,ROW,COLUMN (before its ReLU). The strongest iterate is kept for a unit, the most
    confident one for a class."""
    rule: str | None = None
    """Rule for the step size: adam, progress (the original) or constant."""
    lr: float | None = None
    """Learning rate of adam and constant. Default: 1 gray level, 4 for digits, 0.03 for weights."""
    early: float | None = None
    """Gain that a progress step aims at, in confidence or in the objective."""
    late: float | None = None
    """Highest share of the missing value that a progress step aims at."""
    max_lr: float | None = None
    """Bound on the learning rate of the progress rule."""
    decay: float | None = None
    """Share of the difference from the mean that each step removes (L2), for pixels."""
    blur: float | None = None
    """Radius of a Gaussian blur after steps, for pixels; 0 for none, else 0.3 or more."""
    blur_every: int | None = None
    """Steps from one blur to the next, for pixels."""
    small_values: float | None = None
    """Percentile below which values are set to the mean after each step, for pixels."""
    small_norms: float | None = None
    """Percentile of pixels' norms below which a pixel is set to the mean after each step."""
    low_benefit: float | None = None
    """Percentile of the gain from setting a pixel to the mean, below which it is set."""
    low_abs_benefit: float | None = None
    """Percentile of the absolute value of that gain, below which a pixel is set to the mean."""
    iterations: int | None = None
    """Forward passes per picture, one more than steps. Default: the preset's."""
    start: str | None = None
    """Start of pixels: mean (the network's mean and unit noise), uniform (noise in 0..255), zero
    (the mean itself), or a PNG of the pictures' size. Default: mean."""
    starts: int = 1
    """Starts per class, each from its own noise; the best result is the elite."""
    seed: int = 0
    """Seed of all randomness: the same seed gives the same pictures."""
    weights: Path | None = free(None)
    """Weights file for the model instead of its own."""
    mean: Path | None = free(None)  # its SHA-256 is compared
    """Mean image (.npy or .binaryproto) for the networks trained by Caffe on ImageNet."""
    precision: Precision = "float32"
    """Type of the network's parameters and arithmetic: float32 or bfloat16."""
    crops: int = 1
    """Crops averaged per picture: 1 (centre) or the paper's 10."""
    image_size: int | str | None = None
    """Side of the pictures in pixels, or HEIGHTxWIDTH. Default: --from's, or the model's own."""
    chunk: int | None = None
    """Pictures scored at once, which bounds memory. Default: the model's own."""
    block: int | None = free(None)
    """Pictures that are saved together; Ctrl-C loses an unfinished block. Default: about a gigabyte
    of pictures. Does not change the result."""
    devices: int | None = free(None)
    """Number of devices of each process. Default: all. Does not change the result."""
    resume: tyro.conf.FlagCreatePairsOff[bool] = free(False)
    """Continue the run in --run-dir. Settings that are not given are those of the run."""

    def __post_init__(self) -> None:
        check_range(self, "starts", "chunk", "block", "devices", least=1)
        check_range(self, "seed", least=0, most=2**32 - 1)
        check_together(self)


USED_WITH: dict[str, tuple[str, tuple[str, ...]]] = {
    "lr": ("rule", ("adam", "constant")),
    "early": ("rule", ("progress",)),
    "late": ("rule", ("progress",)),
    "max_lr": ("rule", ("progress",)),
}
"""Flags that have an effect only if another flag has one of these values."""
