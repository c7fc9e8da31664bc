"""Safetensors files, also with numbers that NumPy lacks: bfloat16 and 8-bit floats."""

import math

import ml_dtypes
import numpy as np
import safetensors

from qd_fool.errors import UserError

TYPES: dict[str, np.dtype] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
    "C64": np.dtype("<c8"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "F8_E8M0": np.dtype(ml_dtypes.float8_e8m0fnu),
}
"""NumPy's types by their names in the format."""

WIDENED = ("BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0")
"""Types that become float32, which holds each of their values exactly."""


def parse_safetensors(data: bytes, *, source: str) -> dict[str, np.ndarray]:
    """Return the arrays of a safetensors file by name. Short floats become float32.

    Args:
      data: Bytes of the file.
      source: Name of the file, for errors.

    Raises:
      UserError: The file is damaged, or holds numbers of a type that is not known.
    """
    try:
        tensors = safetensors.deserialize(data)
    except Exception as error:  # safetensors raises undocumented types
        raise UserError(f"weights {source}: a damaged safetensors file ({error})") from error
    return {name: _array(name, tensor, source=source) for name, tensor in tensors}


def _array(name: str, tensor: dict, *, source: str) -> np.ndarray:
    kind, shape = tensor["dtype"], tuple(tensor["shape"])
    if kind not in TYPES:
        known = ", ".join(TYPES)
        raise UserError(f"weights {source}: {name!r} holds {kind}, expected one of {known}")
    stored = np.frombuffer(tensor["data"], TYPES[kind], math.prod(shape))
    if kind == "BOOL":  # a byte may hold more than 0 and 1
        stored = np.frombuffer(tensor["data"], np.uint8, math.prod(shape)) != 0
    array = stored.reshape(shape)
    return array.astype(np.float32) if kind in WIDENED else array.copy()
