"""Preprocessing: crops in units of 0..255 to the inputs that a network was trained on."""

import io
from collections.abc import Callable
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float32

from qd_fool.errors import UserError
from qd_fool.models.means import IMAGENET_MEAN, IMAGENET_STD
from qd_fool.models.readers.caffemodel import parse_blob

Preprocess = Callable[[Float[Array, "n size size channels"]], Array]


def torchvision(images: Float[Array, "n size size 3"]) -> Float[Array, "n size size 3"]:
    """Return (x / 255 - mean) / std, per channel."""
    mean, std = (jnp.asarray(v, images.dtype) for v in (IMAGENET_MEAN, IMAGENET_STD))
    return (images * (1 / 255) - mean[None, None, None]) / std[None, None, None]


def lite(images: Float[Array, "n size size 3"]) -> Float[Array, "n size size 3"]:
    """Return (x - 127) / 128."""
    return (images - 127.0) * (1 / 128)


def caffe(images: Float[Array, "n size size 3"]) -> Float[Array, "n size size 3"]:
    """Reverse RGB to BGR. The mean is one of the network's parameters, and subtracted there."""
    return images[..., ::-1]


def read_mean(path: str | Path, *, size: int) -> Float32[np.ndarray, "size size 3"]:
    """Read a mean image of Caffe, `.npy` or `.binaryproto`, and cut the centre.

    The original evaluator subtracts the centre of the mean image from every crop, wherever the crop
    comes from (caffe/src/caffe/layers/image_data_layer.cpp:62-75).

    Args:
      path: Path of an array `(3, height, width)`, BGR in 0..255.
      size: Side of the network's input.

    Raises:
      UserError: The file can't be read, or has another shape.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"--mean {path}: cannot be read ({error.strerror})") from error
    is_npy = path.suffix == ".npy"
    mean = _read_npy(data, path) if is_npy else parse_blob(data, source=f"--mean {path}")
    while mean.ndim > 3 and mean.shape[0] == 1:
        mean = mean[0]
    if mean.ndim != 3 or mean.shape[0] != 3 or min(mean.shape[1:]) < size:
        raise UserError(
            f"--mean {path}: found an array of shape {mean.shape}, expected (3, height, width) "
            f"of at least {size} pixels"
        )
    if mean.dtype.kind not in "fiu" or not np.isfinite(mean).all():
        raise UserError(f"--mean {path}: expected finite numbers, found {mean.dtype}")
    top, left = ((side - size) // 2 for side in mean.shape[1:])
    cut = mean[:, top : top + size, left : left + size]
    return np.ascontiguousarray(cut.transpose(1, 2, 0), np.float32)


def _read_npy(data: bytes, path: Path) -> np.ndarray:
    try:
        return np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, MemoryError) as error:
        raise UserError(f"--mean {path}: expected a .npy file of numbers ({error})") from error
