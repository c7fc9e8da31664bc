"""Weight files of any format, recognised by their content, read into a flat `{name: array}`."""

import hashlib
import io
from pathlib import Path

import numpy as np

from qd_fool.errors import UserError
from qd_fool.models.readers.caffemodel import parse_caffemodel
from qd_fool.models.readers.safetensors_file import parse_safetensors
from qd_fool.models.readers.torch_checkpoint import (
    looks_like_torch_checkpoint,
    parse_torch_checkpoint,
)


def read_weights(path: str | Path) -> tuple[dict[str, np.ndarray], str]:
    """Read a `.safetensors`, `.npz`, `.pth` or `.caffemodel` file. The suffix does not matter.

    PyTorch's files must be state dicts. They are read without PyTorch and without unpickling.

    Returns:
      Arrays by name (`conv1.weight`, `conv1.bias`, ...), and the file's SHA-256.

    Raises:
      UserError: The file is missing, cut short, or has none of these formats.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"weights {path}: cannot be read ({error.strerror})") from error
    return _parse(data, str(path)), hashlib.sha256(data).hexdigest()


def _parse(data: bytes, source: str) -> dict[str, np.ndarray]:
    if data[8:9] == b"{":
        return parse_safetensors(data, source=source)
    if looks_like_torch_checkpoint(data):
        return parse_torch_checkpoint(data, source=source)
    if data[:2] == b"PK":
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                return {name: arrays[name] for name in arrays.files}
        except Exception as error:  # zipfile, zlib and NumPy raise types of their own
            raise UserError(f"weights {source}: a damaged npz file ({error})") from error
    return parse_caffemodel(data, source=source)
