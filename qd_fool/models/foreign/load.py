"""Load a user's network, ready to score pictures."""

from pathlib import Path
from typing import Any

from qd_fool.errors import UserError
from qd_fool.lazy import load
from qd_fool.models.foreign.settings import (
    ENGINES,
    OF_SERVICES,
    OF_TORCH,
    READERS,
    PictureSettings,
    ServiceSettings,
    check_engine,
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
      weights: Weights file, for a module of PyTorch; None for the network's own.
      picture: Facts about the pictures that the file does not state.
      precision: Type of parameters and arithmetic; must be "float32".

    Raises:
      UserError: The file cannot be read, or a setting does not fit it.
    """
    kind, _, place = name.partition(":")
    if not place:
        raise UserError(f"--model is {name!r}: expected a file behind the colon")
    if weights is not None and kind not in OF_TORCH:
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
    check_engine(settings.engine, name)
    if kind in ENGINES:
        more["engine"] = settings.engine or ENGINES[kind][0]
    if kind in OF_TORCH:
        more["weights"] = None if weights is None else Path(weights)
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
