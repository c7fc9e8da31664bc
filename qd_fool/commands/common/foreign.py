"""Flags about a user's network and its pictures. This module imports no JAX."""

import dataclasses
from pathlib import Path
from typing import Any

from qd_fool.commands.common.settings import UNRECORDED, free
from qd_fool.models.foreign.settings import (
    Channels,
    Engine,
    Layout,
    Outputs,
    PictureSettings,
    Post,
    is_foreign,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pictured:
    """A command that accepts a user's network, such as onnx:FILE or python:FILE.py:FUNCTION."""

    labels: Path | None = None
    """Text file with one label per line, for a network of your own. Default: the file's own labels,
    or ImageNet's for 1000 classes."""
    input_size: int | str | None = None
    """Side of the network's input in pixels, or HEIGHTxWIDTH, for a network of your own. Default:
    the file's. A Python function or a service needs the flag."""
    layout: Layout = "auto"
    """Order of the input's axes, for a network of your own: nhwc is pictures, rows, columns,
    channels. Default (auto): the ONNX file's; nhwc for a Python function."""
    channels: Channels = "auto"
    """Order of the input's channels, for a network of your own. Default (auto): rgb, or the ONNX
    file's."""
    std: str | None = None
    """Divisor of the pixels, one number or one per channel with commas between, for a network of
    your own: it gets (pixel - mean) / std, in units of 0..255. Default: ImageNet's for an ONNX file
    with colour; a Python function gets bytes."""
    outputs: Outputs = "auto"
    """Kind of numbers that a network of your own gives: logits or probabilities of classes, or of
    labels that hold independently of each other. Default (auto): for an ONNX file the logits before
    a final Softmax or Sigmoid, else logits; for a Python function probabilities if they add up to
    1."""
    output: str | None = None
    """Name of the output to read, if an ONNX file has several."""
    engine: Engine | None = None
    """Software that runs an ONNX file (jax or onnxruntime) or a module of PyTorch (jax or torch);
    auto measures both on this machine. jax is compiled into the search; onnxruntime has no
    gradients. Default: jax for an ONNX file, auto for a module of PyTorch."""
    post: Post = free("npy")
    """Form of a request to a network behind an address (https://...): npy (an array in NumPy's
    format) or png (JSON with PNGs)."""
    in_flight: int = free(4)
    """Requests to a network behind an address at the same time."""
    request_timeout: float = free(30.0)
    """Seconds after which a request to a network behind an address has failed."""
    retries: int = free(6)
    """Repetitions of a failed request, with growing pauses. Then the run pauses, saved."""
    rate_limit: float | None = free(None)
    """Highest number of requests per second. Default: no limit."""
    token_env: str | None = dataclasses.field(default=None, metadata=UNRECORDED)
    """Name of the environment variable that holds the bearer token of a network behind an address.
    Neither is recorded: --resume needs the flag again."""
    requests: int | None = free(None)
    """Budget in requests to a network behind an address, repetitions included. The run pauses,
    saved, when it is spent; --resume begins a new budget. Default: no limit."""


def picture_settings(config: Any) -> PictureSettings:
    """The facts that flags give about the pictures of a user's network.

    Args:
      config: Settings of a command that is `Pictured`, with its `mean`.
    """
    names = [field.name for field in dataclasses.fields(Pictured)]
    given = {name: getattr(config, name) for name in names}
    words = [getattr(config, name, None) for name in ("model", "name")]
    models = [str(word) for word in (*words, *getattr(config, "to", ())) if word]
    # For networks of the zoo, the mean is a file.
    mean = config.mean if any(is_foreign(model) for model in models) else None
    return PictureSettings(**given, mean=None if mean is None else str(mean))


def flags_of_picture(picture: PictureSettings) -> dict[str, Any]:
    """The fields of a `Pictured` command, without `mean`, which is not one of them.

    Args:
      picture: Facts that the flags gave.
    """
    return {field.name: getattr(picture, field.name) for field in dataclasses.fields(Pictured)}
