"""Weights for a module: a local checkpoint, or random numbers."""

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from qd_fool.errors import UserError
from qd_fool.models.foreign.torch.packages import import_package
from qd_fool.models.readers.read import read_weights

RANDOM = "random"
"""Word in place of a weights file for a network that was never trained."""

INSIDE = ("state_dict", "model_state_dict", "model")
"""Where training scripts keep a state dict within a checkpoint."""


def is_random(weights: Path | None) -> bool:
    """Whether `--weights` asks for random weights.

    Args:
      weights: Value of the flag.
    """
    return str(weights) == RANDOM


def read_state(path: Path) -> tuple[dict[str, Any], str]:
    """The tensors of a checkpoint by name, and the SHA-256 of the file.

    No code of the file is run: PyTorch's files are read without unpickling, or with `weights_only`.

    Args:
      path: File of PyTorch, safetensors or NumPy.

    Raises:
      UserError: The file cannot be read, or holds no state dict.
    """
    torch = import_package("torch", asker=f"--weights {path}")
    try:
        flat, sha256 = read_weights(path)
    except UserError as error:
        if not path.is_file():
            raise
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:  # PyTorch raises errors of many types; the first sentence says more
            raise error from None
        return _tensors(found, torch, path), hashlib.sha256(path.read_bytes()).hexdigest()
    tensors = {}
    for name, array in flat.items():
        known = array.dtype.kind in "fiub" and array.dtype.itemsize <= 8
        numbers = array if known else array.astype(np.float32)  # bfloat16
        tensors[name] = torch.from_numpy(np.array(numbers))
    return _tensors(tensors, torch, path), sha256


def _tensors(found: Any, torch: Any, path: Path) -> dict[str, Any]:
    """The state dict of a checkpoint, without a prefix that parallel training leaves."""
    for key in INSIDE:
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(torch.is_tensor(v) for v in found.values()):
        raise UserError(f"--weights {path}: no state dict: expected tensors by name")
    tensors = {str(name): value for name, value in found.items()}
    for prefix in ("module.", "model."):
        if tensors and all(name.startswith(prefix) for name in tensors):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def with_state(
    make: Callable[[int | None], Any], tensors: Mapping[str, Any], *, path: Path, name: str
) -> Any:
    """A module with the weights of a checkpoint, which may have classes of its own.

    Args:
      make: Function that makes a module with a number of classes, or with its usual number.
      tensors: Tensors by name.
      path: File that held them, for errors.
      name: Name of the network, for errors.

    Raises:
      UserError: The weights do not fit the module.
    """
    module = make(None)
    last = list(module.state_dict())[-1:]  # the bias or weight of the head
    if last and last[0] in tensors and tensors[last[0]].ndim:
        classes = len(tensors[last[0]])
        if classes != len(module.state_dict()[last[0]]):
            module = make(classes)
    fill(module, tensors, path=path, name=name)
    return module


def fill(module: Any, tensors: Mapping[str, Any], *, path: Path, name: str) -> None:
    """Put the weights of a checkpoint into a module.

    Args:
      module: Module.
      tensors: Tensors by name.
      path: File that held them, for errors.
      name: Name of the network, for errors.

    Raises:
      UserError: Names or shapes do not fit.
    """
    wanted = module.state_dict()
    missing = [word for word in wanted if word not in tensors and "num_batches" not in word]
    surplus = [word for word in tensors if word not in wanted]
    if missing or surplus:
        lists = (("lacks", missing), ("also has", surplus))
        words = "; ".join(f"it {verb} {_few(names)}" for verb, names in lists if names)
        raise UserError(f"--weights {path}: does not fit {name}: {words}")
    for word, value in tensors.items():
        if value.shape != wanted[word].shape:
            raise UserError(
                f"--weights {path}: does not fit {name}: {word} has shape {tuple(value.shape)}, "
                f"expected {tuple(wanted[word].shape)}"
            )
    module.load_state_dict(dict(tensors), strict=False)


def _few(names: list[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest


def random_weights(make: Callable[[], Any]) -> Any:
    """A module whose random weights are the same each time.

    Args:
      make: Function that makes the module, and draws from PyTorch's random numbers.
    """
    torch = import_package("torch", asker="--weights random")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()


def sha256_of_state(module: Any) -> str:
    """The SHA-256 of a module's numbers, with their names and shapes.

    Args:
      module: Module.
    """
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        array = value.detach().cpu()
        array = array.float() if array.is_floating_point() else array
        digest.update(f"{name} {tuple(array.shape)}".encode())
        digest.update(np.ascontiguousarray(array.numpy()).tobytes())
    return digest.hexdigest()
