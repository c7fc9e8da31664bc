"""Flags about the pictures of a user's network. This module imports no JAX."""

import dataclasses
from pathlib import Path
from typing import Any

from qd_fool.models.foreign.settings import (
    Channels,
    Layout,
    Outputs,
    PictureSettings,
    is_foreign,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pictured:
    """A command that accepts a user's network, such as --model onnx:FILE."""

    labels: Path | None = None
    """Text file with one label per line, for --model onnx:FILE. Default: the file's own labels, or
    ImageNet's for 1000 classes."""
    input_size: int | None = None
    """Side of the network's input in pixels, for --model onnx:FILE. Default: the file's."""
    layout: Layout = "auto"
    """Order of the input's axes, for --model onnx:FILE."""
    channels: Channels = "auto"
    """Order of the input's channels, for --model onnx:FILE."""
    std: str | None = None
    """Divisor of the pixels, one number or one per channel with commas between, for --model
    onnx:FILE: the network gets (pixel - mean) / std, in units of 0..255. Default: ImageNet's for
    colour."""
    outputs: Outputs = "auto"
    """Kind of numbers that --model onnx:FILE gives: logits or probabilities. Default (auto): the
    logits before a final Softmax if there is one, else the output is taken for logits."""
    output: str | None = None
    """Name of the output to read, if --model onnx:FILE has several."""


def picture_settings(config: Any) -> PictureSettings:
    """The facts that flags give about the pictures of a user's network.

    Args:
      config: Settings of a command that is `Pictured`, with its `mean`.
    """
    names = [field.name for field in dataclasses.fields(Pictured)]
    given = {name: getattr(config, name) for name in names}
    model = str(getattr(config, "model", None) or getattr(config, "name", ""))
    mean = config.mean if is_foreign(model) else None  # for networks of the zoo it is a file
    return PictureSettings(**given, mean=None if mean is None else str(mean))


def flags_of_picture(picture: PictureSettings) -> dict[str, Any]:
    """The fields of a `Pictured` command, without `mean`, which is not one of them.

    Args:
      picture: Facts that the flags gave.
    """
    return {field.name: getattr(picture, field.name) for field in dataclasses.fields(Pictured)}
