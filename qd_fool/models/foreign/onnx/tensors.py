"""Arrays of an ONNX file, also those that lie in a file beside it."""

import math
from pathlib import Path
from typing import Any

import numpy as np

from qd_fool.errors import UserError

EXTERNAL = 1
"""ONNX's mark for "the numbers are in another file"."""


def to_array(tensor: Any, *, folder: Path, source: str) -> np.ndarray:
    """The array of a `TensorProto`.

    Args:
      tensor: As parsed.
      folder: Folder of the model, which no file of numbers may lie outside.
      source: Name of the file, for errors.

    Raises:
      UserError: Shape and numbers disagree, or the numbers cannot be had.
    """
    import onnx

    shape = tuple(tensor.dims)
    if min(shape, default=0) < 0:
        raise UserError(f"{source}: the array {tensor.name!r} has the shape {shape}")
    try:
        if tensor.data_location == EXTERNAL:
            return _external(tensor, shape, folder=folder, source=source)
        return np.asarray(onnx.numpy_helper.to_array(tensor))
    except (ValueError, TypeError, KeyError, OverflowError, MemoryError) as error:
        raise UserError(
            f"{source}: the array {tensor.name!r} of shape {shape} cannot be read ({error})"
        ) from error


def file_beside(tensor: Any, *, folder: Path, source: str) -> tuple[Path, str]:
    """The file that holds the numbers of a tensor, and the beginning of an error about it.

    Args:
      tensor: A `TensorProto` whose numbers are in another file.
      folder: Folder of the model.
      source: Name of the file, for errors.

    Raises:
      UserError: The file lies outside the folder, or there is none.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    root = folder.resolve()
    path = (root / location).resolve()
    where = f"{source}: the numbers of {tensor.name!r} are in {location!r}"
    if not location or Path(location).is_absolute() or not path.is_relative_to(root):
        raise UserError(f"{where}, outside of the model's folder: it is not read")
    if not path.is_file():
        raise UserError(f"{where}: there is no such file beside the model")
    return path, where


def _external(tensor: Any, shape: tuple[int, ...], *, folder: Path, source: str) -> np.ndarray:
    """The numbers from a file in the model's folder, never from elsewhere."""
    import onnx

    path, where = file_beside(tensor, folder=folder, source=source)
    entries = {entry.key: entry.value for entry in tensor.external_data}
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    if dtype.kind not in "fiub" and dtype.name != "bfloat16":
        raise UserError(f"{where}, and {dtype} is not read from there")
    count = math.prod(shape)
    offset = int(entries.get("offset", 0))
    length = int(entries.get("length", count * dtype.itemsize))
    if offset < 0 or length != count * dtype.itemsize or offset + length > path.stat().st_size:
        raise UserError(
            f"{where}: {length} bytes from {offset} on do not fit {count} numbers of {dtype} "
            f"in a file of {path.stat().st_size} bytes"
        )
    try:
        with path.open("rb") as file:
            file.seek(offset)
            numbers = file.read(length)
    except OSError as error:
        raise UserError(f"{where}: it cannot be read ({error.strerror})") from error
    little = dtype.newbyteorder("<") if dtype.kind in "fiu" else dtype
    return np.frombuffer(numbers, little).astype(dtype, copy=False).reshape(shape)
