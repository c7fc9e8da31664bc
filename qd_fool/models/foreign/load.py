"""Load a user's network, ready to score pictures."""

from pathlib import Path
from typing import Any

from qd_fool.errors import UserError
from qd_fool.lazy import load
from qd_fool.models.foreign.settings import (
    OF_SERVICES,
    READERS,
    PictureSettings,
    ServiceSettings,
    numbers,
)
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import read_size


def load_foreign(
    name: str,
    *,
    weights: str | Path | None = None,
    picture: PictureSettings | None = None,
    precision: str = "float32",
) -> Scorer | HostScorer:
    """Read a network from a user's file.

    Args:
      name: Name of the network, `KIND:PLACE`, such as "onnx:model.onnx" or
        "python:file.py:function".
      weights: Weights file; None if the file of the network holds the weights.
      picture: Facts about the pictures that the file does not state.
      precision: Type of parameters and arithmetic; must be "float32".

    Raises:
      UserError: The file cannot be read, or a setting does not fit it.
    """
    kind, _, place = name.partition(":")
    if not place:
        raise UserError(f"--model is {name!r}: expected a file behind the colon")
    if weights is not None:
        raise UserError(f"--weights {weights}: {name} holds its own weights")
    if precision != "float32":
        raise UserError(f"--precision is {precision!r}: {name} is read as float32 only")
    settings = picture or PictureSettings()
    more: dict[str, Any] = {field: getattr(settings, field) for field in OF_SERVICES}
    if kind not in ("http", "https"):
        usual = ServiceSettings()
        for field, value in more.items():
            if value != getattr(usual, field):
                flag = field.replace("_", "-")
                raise UserError(f"--{flag} {value} is for a network behind an address, not {name}")
        more = {}
    if kind == "onnx":
        more["engine"] = settings.engine
    elif settings.engine != "jax":
        raise UserError(f"--engine {settings.engine} is for ONNX files, not {name}")
    return load(READERS[kind])(
        place,
        labels=settings.labels,
        input_size=None if settings.input_size is None else read_size(settings.input_size),
        layout=settings.layout,
        channels=settings.channels,
        mean=numbers(settings.mean, "--mean"),
        std=numbers(settings.std, "--std"),
        outputs=settings.outputs,
        output=settings.output,
        name=name,
        **more,
    )
