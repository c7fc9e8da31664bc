"""Elites' pictures in the form that a page holds: thumbnails, whole pictures, histograms."""

import base64
import io
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

Look = Callable[[], Image.Image]
"""A function that opens a picture, gray or RGB."""

PACKINGS = ((128, 75), (112, 60), (96, 50), (80, 40), (64, 30))
"""Side in pixels and WebP quality, from the best to the smallest."""


HISTOGRAM_BINS = 32


def thumbnails(
    images: Sequence[Look],
    *,
    budget: int,
    inside: bool = False,
    keys: Sequence[Hashable] | None = None,
) -> list[str] | None:
    """Return pictures as data URIs: small pictures as they are, others as well as a budget allows.

    Args:
      images: Pictures, opened one after another.
      budget: Characters for all thumbnails.
      inside: Whether the smallest packing may exceed the budget.
      keys: One key per picture, equal for equal pictures, which are packed once.

    Returns:
      One data URI per picture; None if all of them exceed the budget, so that the page must show
      the files beside it.
    """
    # Try the packings on a sample of 25 to 50 pictures, from the best to the smallest.
    sample = [look() for look in images[:: max(1, len(images) // 25)]]
    for packing in PACKINGS:
        length = sum(len(packed(image, *packing)) for image in sample)
        if length * len(images) <= budget * len(sample):
            break
    else:
        if sample and not inside:
            return None
    keys = range(len(images)) if keys is None else keys
    distinct = dict(zip(keys, images, strict=True))
    found = {key: packed(look(), *packing) for key, look in distinct.items()}
    return [found[key] for key in keys]


def packed(image: Image.Image, side: int, quality: int) -> str:
    """Return a picture as a data URI: as PNG up to 64 pixels, else reduced to `side`, as WebP."""
    data = io.BytesIO()
    if max(image.size) <= 64:
        image.save(data, "png", optimize=True)
        return data_uri("png", data.getvalue())
    small = image.copy()
    small.thumbnail((side, side))
    small.save(data, "webp", quality=quality)
    return data_uri("webp", data.getvalue())


def data_uri(kind: str, data: bytes) -> str:
    """Return the bytes of a picture's file as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def whole_picture(path: Path) -> str:
    """Return a PNG file as a data URI."""
    return data_uri("png", path.read_bytes())


def histogram(image: Image.Image) -> str:
    """Return a histogram of the pixels' values: one byte per bin, channel after channel, in base64.

    The fullest bin of all channels has 255. A bin that is not empty has 1 or more.
    """
    pixels = np.asarray(image)
    pixels = pixels.reshape(-1, pixels.shape[2] if pixels.ndim == 3 else 1)
    counts = np.stack([np.histogram(channel, HISTOGRAM_BINS, (0, 256))[0] for channel in pixels.T])
    return base64.b64encode(np.ceil(counts * (255 / counts.max())).astype(np.uint8)).decode()


def pixels_of(image: Image.Image) -> str:
    """Return the bytes of a picture, row after row, channels last, in base64."""
    return base64.b64encode(np.asarray(image, np.uint8).tobytes()).decode()
