"""Arrays from the tensors of a PyTorch file, and from the storages that hold the numbers."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from qd_fool.models.readers.torch_pickle import (
    LARGEST_COUNT,
    STORAGE_TYPES,
    RefusedError,
    Storage,
    Tensor,
    quote,
)

ReadStorage = Callable[[Storage], bytes | memoryview]
"""A function from a storage to the bytes of the storage."""

LARGEST_GROWTH = 8
"""Most bytes of arrays per byte of the file.

Shared storages and strides of 0 make tensors larger than their file, but not by much."""

_LARGEST_NDIM = 64  # the limit of NumPy


def tensors_of(saved: object) -> dict[str, Tensor]:
    """Return the tensors of a state dict by name, which may lie within what a script has saved.

    Args:
      saved: Value that the file's pickle describes.

    Raises:
      RefusedError: The value holds no state dict, several, or one with something else than tensors.
    """
    if not isinstance(saved, dict):
        raise RefusedError(f"expected a state dict, found a {_kind(saved)}")
    inner = _state_dict_in(saved)
    tensors: dict[str, Tensor] = {}
    for name, value in inner.items():
        if isinstance(value, Tensor):
            if not isinstance(name, str) or not name.isprintable():
                raise RefusedError(f"a tensor's name is {quote(name)}, expected printable text")
            tensors[name] = value
        elif value is not None and not isinstance(value, (bool, int, float, str)):
            raise RefusedError(
                f"expected a state dict, found one whose {quote(name)} is a {_kind(value)}, "
                "not a tensor"
            )
    if not tensors:
        raise RefusedError(f"expected a state dict, found {len(inner)} entries and no tensor")
    return tensors


INSIDE = ("state_dict", "model_state_dict", "model", "net", "network", "weights")
"""Names under which training scripts save a state dict, the most common first."""

DEEPEST = 2
"""Dicts within dicts that are searched for a state dict."""


def _state_dict_in(saved: dict[Any, object]) -> dict[Any, object]:
    """Return the state dict in what was saved, beside an optimiser, an epoch, arguments.

    A dict under a common name is taken first. Else it is found by its content: the one dict whose
    values are tensors. An optimiser's tensors lie deeper, under numbers.
    """
    for name in INSIDE:
        if isinstance(found := saved.get(name), dict):
            # A model may be saved within another dict, such as {"model": {"state_dict": ...}}.
            return found if _has_tensors(found) else _state_dict_in_one(found) or found
    if _has_tensors(saved):
        return saved
    return _state_dict_in_one(saved) or saved


def _state_dict_in_one(saved: dict[Any, object]) -> dict[Any, object] | None:
    """Return the only dict of tensors within another; None if there is none.

    Raises:
      RefusedError: There are several.
    """
    found: dict[str, dict[Any, object]] = {}
    level, seen = {"": saved}, {id(saved)}
    for _ in range(DEEPEST):
        below: dict[str, dict[Any, object]] = {}
        for path, outer in level.items():
            for name, value in outer.items():
                # One dict may occur many times: each is looked into once.
                if isinstance(name, str) and isinstance(value, dict) and id(value) not in seen:
                    seen.add(id(value))
                    below[f"{path}{name}/"] = value
        found |= {path.rstrip("/"): inner for path, inner in below.items() if _has_tensors(inner)}
        level = below
    if len(found) > 1:
        names = ", ".join(quote(name) for name in list(found)[:4])
        raise RefusedError(f"expected one state dict, found {len(found)}: {names}")
    return next(iter(found.values()), None)


def _has_tensors(values: dict[Any, object]) -> bool:
    """Return whether a dict holds tensors under texts."""
    return any(isinstance(v, Tensor) and isinstance(k, str) for k, v in values.items())


def _kind(value: object) -> str:
    return type(value).__name__.lower().removesuffix("type")


def itemsize(storage: Storage) -> int:
    """Return the bytes of one number in a storage."""
    return np.dtype(STORAGE_TYPES[storage.kind]).itemsize


def arrays_of(tensors: dict[str, Tensor], read: ReadStorage, room: int) -> dict[str, np.ndarray]:
    """Return the numbers of tensors, as arrays that own their memory.

    Args:
      tensors: Tensors by name.
      read: Function that reads a storage.
      room: Most bytes that all arrays together may take.

    Raises:
      RefusedError: A tensor does not lie within its storage, or the arrays would take more bytes.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, tensor in tensors.items():
        offset, size, strides = _extent(tensor, quote(name))
        widened = 2 if tensor.storage.kind == "torch BFloat16Storage" else 1
        room -= math.prod(size) * itemsize(tensor.storage) * widened
        if room < 0:
            raise RefusedError(
                f"the tensors take more than {LARGEST_GROWTH} times the bytes of the file, from "
                f"{quote(name)} on: not read"
            )
        stored = read(tensor.storage)
        if len(stored) != tensor.storage.numel * itemsize(tensor.storage):
            raise RefusedError(
                f"a damaged PyTorch file (tensor {quote(name)} needs a storage of "
                f"{tensor.storage.numel} numbers, found {len(stored)} bytes)"
            )
        arrays[name] = _array(tensor.storage.kind, stored, offset, size, strides)
    return arrays


def _extent(tensor: Tensor, name: str) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Return offset, size and strides as numbers, if every element lies within the storage."""
    size, strides = tensor.size, tensor.stride
    if not isinstance(size, tuple) or not isinstance(strides, tuple) or len(size) != len(strides):
        raise RefusedError(f"a damaged PyTorch file (tensor {name} has no size and strides)")
    numbers = [n for n in (tensor.offset, *size, *strides) if type(n) is int]
    sane = len(numbers) == 1 + 2 * len(size) and len(size) <= _LARGEST_NDIM
    sane = sane and all(0 <= n < LARGEST_COUNT for n in numbers)
    # Axes of length 0 count as 1, because NumPy multiplies the other axes even then.
    if not sane or math.prod(n or 1 for n in size) >= LARGEST_COUNT:
        raise RefusedError(f"a damaged PyTorch file (tensor {name} has an impossible size)")
    offset = numbers[0]
    if 0 in size:
        return 0, size, (0,) * len(size)
    last = offset + sum((n - 1) * stride for n, stride in zip(size, strides, strict=True))
    if last >= tensor.storage.numel:
        raise RefusedError(
            f"a damaged PyTorch file (tensor {name} reaches number {last} of a storage of "
            f"{tensor.storage.numel})"
        )
    return offset, size, strides


def _array(
    kind: str,
    stored: bytes | memoryview,
    offset: int,
    size: tuple[int, ...],
    strides: tuple[int, ...],
) -> np.ndarray:
    """Return a copy of one tensor's numbers, from the bytes of the storage."""
    dtype = np.dtype(STORAGE_TYPES[kind])
    if 0 in size:
        values = np.zeros(size, dtype)
    else:  # NumPy checks the extent again
        byte_strides = [dtype.itemsize * stride for stride in strides]
        view = np.ndarray(size, dtype, stored, dtype.itemsize * offset, byte_strides)
        values = np.array(view, dtype.newbyteorder("="), order="C")
    if kind == "torch BoolStorage":
        return values != 0
    if kind == "torch BFloat16Storage":
        return (values.astype(np.uint32) << 16).view(np.float32)
    return values
