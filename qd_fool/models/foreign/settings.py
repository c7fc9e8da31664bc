"""Names of users' networks, and facts about their pictures. This module imports no JAX."""

import dataclasses
from pathlib import Path
from typing import Literal

from qd_fool.errors import UserError

Layout = Literal["auto", "nchw", "nhwc"]
Channels = Literal["auto", "rgb", "bgr", "gray"]
Outputs = Literal["auto", "logits", "probabilities", "label-logits", "label-probabilities"]
Post = Literal["npy", "png"]
Engine = Literal["auto", "jax", "onnxruntime", "torch"]

CODE = ("python:", "torch:")
"""Beginnings of the names of networks from a user's code."""

READERS = {
    "keras": "qd_fool.models.foreign.keras_file:from_keras_file",
    "hf": "qd_fool.models.foreign.torch.load:from_name",
    "onnx": "qd_fool.models.foreign.onnx.load:from_onnx",
    "python": "qd_fool.models.foreign.python_file:from_python_file",
    "timm": "qd_fool.models.foreign.torch.load:from_name",
    "torch": "qd_fool.models.foreign.torch.load:from_name",
    "torchvision": "qd_fool.models.foreign.torch.load:from_name",
    "http": "qd_fool.models.foreign.http.load:from_address",
    "https": "qd_fool.models.foreign.http.load:from_address",
}
"""Place of the function that reads a network, by the word before the colon in the name."""

OF_TORCH = ("hf", "timm", "torch", "torchvision")
"""Kinds of networks that are modules of PyTorch. They take `--weights`."""

ENGINES: dict[str, tuple[Engine, ...]] = {
    "onnx": ("jax", "onnxruntime", "auto"),
    **dict.fromkeys(OF_TORCH, ("auto", "torch", "jax")),
}
"""Engines by kind of network, the default first. Other kinds have only one."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """How requests are sent to a network behind an address.

    Attributes:
      post: Form of a request.
      in_flight: Requests at the same time.
      request_timeout: Seconds for one request.
      retries: Repetitions of a request that failed.
      rate_limit: Highest number of requests per second; None for no limit.
      token_env: Name of the environment variable that holds the bearer token, if there is one.
      requests: Budget in requests; None for no limit.
    """

    post: Post = "npy"
    in_flight: int = 4
    request_timeout: float = 30.0
    retries: int = 6
    rate_limit: float | None = None
    token_env: str | None = None
    requests: int | None = None


OF_SERVICES = tuple(field.name for field in dataclasses.fields(ServiceSettings))


@dataclasses.dataclass(frozen=True, kw_only=True)
class PictureSettings(ServiceSettings):
    """Facts about a user's network and its pictures that its file does not state.

    Attributes:
      labels: File with one label per line; None for the file's own labels, or ImageNet's.
      input_size: Side of the network's input in pixels, or `HEIGHTxWIDTH`; None for the file's.
      layout: Order of the input's axes.
      channels: Order of the picture's channels, as the network takes them.
      mean: Number or numbers, separated by commas, in 0..255: `(pixel - mean) / std`.
      std: Number or numbers, separated by commas.
      outputs: Kind of the output's numbers.
      output: Name of the output to read; None if there is only one.
      engine: Software that runs an ONNX file or a module of PyTorch; None for the default.
    """

    labels: Path | None = None
    input_size: int | str | None = None
    layout: Layout = "auto"
    channels: Channels = "auto"
    mean: str | None = None
    std: str | None = None
    outputs: Outputs = "auto"
    output: str | None = None
    engine: Engine | None = None


NAMED: set[str] = set()
"""Names of services and importable modules that the command line gives. No others are asked or
imported: a run directory that names one may be a stranger's."""


def is_address(name: str) -> bool:
    """Whether a name is the address of a service.

    Args:
      name: Name of the network, as `--model` takes it.
    """
    return name.startswith(("http://", "https://"))


def must_be_named(name: str) -> bool:
    """Whether a network is used only if the command line names it: code, or a service.

    Args:
      name: Name of the network, as `--model` takes it.
    """
    return name.startswith(CODE) or is_address(name)


def check_engine(engine: Engine | None, name: str) -> None:
    """Check that a network's kind has an engine.

    Args:
      engine: Value of `--engine`; None if it is not given.
      name: Name of the network, as `--model` takes it.

    Raises:
      UserError: It does not.
    """
    kind = name.partition(":")[0] if is_foreign(name) else ""
    if engine is None or engine in ENGINES.get(kind, ("jax",)):
        return
    if kind in ENGINES:
        raise UserError(
            f"--engine {engine}: {name} runs with {', '.join(sorted(ENGINES[kind]))} only"
        )
    raise UserError(f"--engine {engine} is for ONNX files and modules of PyTorch, not {name}")


def is_foreign(name: str) -> bool:
    """Whether a name is `KIND:PLACE`, and so that of a user's network.

    Args:
      name: Name of the network, as `--model` takes it.
    """
    return name.partition(":")[0] in READERS and ":" in name


def file_of(name: str) -> Path | None:
    """The Python file of a network `python:FILE.py:FUNCTION`.

    Args:
      name: Name of the network, as `--model` takes it.

    Returns:
      The file; None for an importable module, `torch:MODULE:FUNCTION`.

    Raises:
      UserError: The name lacks the file or the function.
    """
    kind, _, place = name.partition(":")
    file, colon, function = place.rpartition(":")
    if not colon or not file or not function:
        raise UserError(f"--model is {name!r}: expected {kind}:FILE.py:FUNCTION")
    if kind == "torch" and all(part.isidentifier() for part in file.split(".")):
        return None if not file.endswith(".py") else Path(file)
    return Path(file)


def numbers(text: str | None, flag: str) -> float | tuple[float, ...] | None:
    """One number, or one per channel, from a text with commas.

    Args:
      text: Text, or None.
      flag: Name of the flag, for the error.

    Raises:
      UserError: Something else than numbers.
    """
    if text is None:
        return None
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) not in (1, 3):
        raise UserError(f"{flag} is {text}: expected one number, or three separated by commas")
    return found[0] if len(found) == 1 else found
