"""Pictures of genomes, and picture files."""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Integer, PyTree, UInt8
from PIL import Image

from qd_fool.archive import ClassArchive
from qd_fool.devices.chunks import map_chunks
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.files import replacing, write_bytes

AT_ONCE = 1000
"""Distinct pictures that are on the host together, which bounds memory."""


def picture_function(
    encoding: Encoding, *, chunk: int
) -> Callable[[PyTree[Any]], UInt8[np.ndarray, "n height width channels"]]:
    """Return the function that draws a stack of genomes; it compiles once per number of genomes.

    Args:
      encoding: Encoding of the genomes.
      chunk: Number of pictures drawn at once.
    """
    render = jax.jit(lambda genomes: map_chunks(encoding.render, genomes, chunk=chunk))
    return lambda genomes: np.asarray(render(genomes))


def render_elites(
    archive: ClassArchive, encoding: Encoding, *, chunk: int
) -> UInt8[np.ndarray, "cells height width channels"]:
    """Draw the picture of every cell; for an empty cell, the picture of a blank genome."""
    return picture_function(encoding, chunk=chunk)(archive.genomes)


def equal_genomes(genomes: PyTree[Any], rows: Integer[np.ndarray, " n"]) -> list[list[int]]:
    """Group rows whose genomes are equal, byte for byte, in order of each group's first row.

    Args:
      genomes: Genomes on the host, `(cells, ...)`.
      rows: Rows to group.
    """
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(genomes)]
    groups: dict[bytes, list[int]] = {}
    for row in rows.tolist():
        found = hashlib.blake2b()
        for leaf in leaves:
            found.update(np.ascontiguousarray(leaf[row]).tobytes())
        groups.setdefault(found.digest(), []).append(row)
    return list(groups.values())


def distinct_pictures(
    genomes: PyTree[Any],
    rows: Integer[np.ndarray, " n"],
    *,
    draw: Callable[[PyTree[Any]], UInt8[np.ndarray, "n height width channels"]],
) -> Iterator[tuple[list[list[int]], UInt8[np.ndarray, "groups height width channels"]]]:
    """Draw each distinct genome once, in parts that bound memory.

    Args:
      genomes: Genomes on the host, `(cells, ...)`.
      rows: Rows to draw.
      draw: Function that draws a stack of genomes.

    Yields:
      Groups of rows whose genomes are equal, and one picture per group.
    """
    groups = equal_genomes(genomes, rows)
    for start in range(0, len(groups), AT_ONCE):
        part = groups[start : start + AT_ONCE]
        first = np.array([members[0] for members in part])
        yield part, draw(jax.tree.map(lambda leaf, rows=first: np.asarray(leaf)[rows], genomes))


def read_image(path: Path, *, channels: int) -> UInt8[np.ndarray, "height width channels"]:
    """Read a picture's bytes exactly as stored, without conversion or resizing.

    Args:
      path: Path of the file.
      channels: Number of channels, 1 for 8-bit gray or 3 for 8-bit RGB.

    Raises:
      UserError: The picture can't be read, or has another mode.
    """
    want = {1: "L", 3: "RGB"}[channels]
    try:
        with Image.open(path) as image:
            image.load()
            mode, pixels = image.mode, np.asarray(image)
    except OSError as error:
        raise UserError(f"image {path}: cannot be read ({error})") from error
    except (ValueError, Image.DecompressionBombError, SyntaxError) as error:
        raise UserError(f"image {path}: not a picture that Pillow can read ({error})") from error
    if mode != want:
        name = "8-bit gray" if want == "L" else "8-bit RGB"
        raise UserError(f"image {path}: the mode is {mode}, expected {want} ({name})")
    return pixels.reshape(*pixels.shape[:2], channels)


def to_image(pixels: UInt8[np.ndarray, "height width channels"]) -> Image.Image:
    """Return an 8-bit picture as an image of Pillow: gray for one channel, else RGB."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def write_image(path: Path, image: UInt8[np.ndarray, "height width channels"]) -> None:
    """Save a picture as PNG, without loss."""
    with replacing(path) as partial:
        to_image(image).save(partial)


def write_images(paths: Sequence[Path], image: UInt8[np.ndarray, "height width channels"]) -> bytes:
    """Save a picture as PNG under each path. Returns the bytes of the file."""
    data = io.BytesIO()
    to_image(image).save(data, "png")
    for path in paths:
        write_bytes(path, data.getvalue())
    return data.getvalue()
