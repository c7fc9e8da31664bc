"""The settings of `qd-fool transfer`. This module imports no JAX."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from qd_fool.commands.common.foreign import Pictured
from qd_fool.commands.common.imports import Importing
from qd_fool.commands.common.together import Together, check_together


@dataclasses.dataclass(frozen=True)
class TransferConfig(Pictured, Importing, Together):
    """Show pictures that fool one network to others, and count which fool both.

    Takes runs (evolved, climbed, or evolved against several networks), which are also shown to the
    networks they were made against; and folders of PNG or JPEG pictures. Pictures are scored pixel
    for pixel, at the centre; those smaller than a network's input are enlarged for it.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Run directories, or folders of pictures named NNNN_label.png by class or by WNID."""
    to: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Network to show the pictures to: a name that `qd-fool models` lists, or your own: onnx:FILE,
    python:FILE.py:FUNCTION or https://... Repeat the flag for each network."""
    weights: tyro.conf.UseAppendAction[tuple[Path, ...]] = ()
    """Weights file for each --to, in the same order; `own` for a network's own weights."""
    mean: Path | None = None
    """Mean image (.npy or .binaryproto) for the networks of --to that were trained by Caffe
    on ImageNet; for a network of your own one number or three with commas between, in 0..255."""
    crops: int = 1
    """Crops averaged per picture: 1 (centre) or 10."""
    out: Path | None = None
    """Directory to write. Default: RUN/transfer for one run, else a new directory under runs/."""
    names: tuple[str, ...] = ()
    """Names of the networks of --to, in order. Default: the model, and the weights if that is
    ambiguous."""

    def __post_init__(self) -> None:
        check_together(self)
