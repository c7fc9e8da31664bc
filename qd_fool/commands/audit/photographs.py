"""Photographs with their classes, for an audit: from a folder, a CSV file, MNIST, or arrays."""

import csv
import dataclasses
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from qd_fool.data.mnist import load_mnist
from qd_fool.data.photographs import centre_cut, class_of, list_photographs, read_photograph
from qd_fool.errors import UserError
from qd_fool.models.class_names import find_class
from qd_fool.models.network import SingleNetwork

MOST = {True: 2_000, False: 10_000}
"""Highest number of photographs: for the budget "quick", and for larger ones."""

DIGITS = tuple("0123456789")


@dataclasses.dataclass(frozen=True, eq=False)
class Labelled:
    """Photographs and their classes.

    Attributes:
      images: The photographs, as the classifier's pictures.
      labels: Index of each photograph's class.
      words: Origin of the photographs, for people.
    """

    images: UInt8[np.ndarray, "n height width channels"]
    labels: Int[np.ndarray, " n"]
    words: str

    @property
    def sha256(self) -> str:
        """Digest of pixels and labels."""
        digest = hashlib.sha256(np.ascontiguousarray(self.images).tobytes())
        digest.update(np.asarray(self.labels, "<i4").tobytes())
        return digest.hexdigest()


def read_labelled(
    source: Path, scorer: SingleNetwork, *, most: int, convert: bool = False
) -> Labelled:
    """Read photographs of a folder or of a CSV file.

    Args:
      source: Folder or CSV file.
      scorer: Classifier, whose classes and pictures the photographs must fit.
      most: Highest number of photographs. If there are more, this many are read, evenly spaced.
      convert: Whether to accept photographs that are not 8-bit RGB or, for a classifier of gray
        pictures, not 8-bit gray.

    Raises:
      UserError: There are no photographs, one cannot be read, or its class is not known.
    """
    is_table = source.suffix.lower() == ".csv"
    pairs = _rows_of_table(source, scorer) if is_table else _rows_of_folder(source, scorer)
    count = len(pairs)
    chosen = [pairs[i] for i in evenly(count, most)]
    *side, channels = scorer.image_shape
    images = [
        _read_gray(path, (side[0], side[1]), convert=convert)
        if channels == 1
        else read_photograph(path, side=(side[0], side[1]), convert=convert)
        for path, _ in chosen
    ]
    words = f"{len(chosen)} photographs" + (f" of {count}" if count > len(chosen) else "")
    labels = np.asarray([label for _, label in chosen], np.int32)
    return Labelled(np.stack(images), labels, f"{words} in {source.name}")


def digits_of(scorer: SingleNetwork, *, most: int) -> Labelled | str | None:
    """MNIST's test set, for a classifier of digits.

    Args:
      scorer: Classifier.
      most: Highest number of digits.

    Returns:
      The digits; a sentence, if MNIST is not at hand; None for a classifier of something else.
    """
    if tuple(scorer.class_names[:10]) != DIGITS or scorer.image_shape != (28, 28, 1):
        return None
    try:
        images, labels = load_mnist("test", download=False)
    except UserError as error:
        return f"MNIST's test set is not at hand: {error}"
    chosen = evenly(len(images), most)
    return Labelled(
        images[chosen], labels[chosen], f"{len(chosen)} of {len(images)} test digits of MNIST"
    )


def evenly(count: int, most: int) -> Int[np.ndarray, " chosen"]:
    """Return indices of up to `most` of `count` items, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _rows_of_table(path: Path, scorer: SingleNetwork) -> list[tuple[Path, int]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"--photos {path}: cannot be read as CSV ({error})") from error
    found = []
    for number, row in enumerate(rows, start=2):
        name, label = row.get("path"), row.get("class")
        if not name or not label:
            raise UserError(
                f"--photos {path}: line {number} has no path or no class: expected the columns "
                "path and class"
            )
        flag = f"--photos {path}, line {number}: class"
        found.append((path.parent / name, _class_named(label, scorer, flag=flag)))
    if not found:
        raise UserError(f"--photos {path}: found no rows, expected the columns path and class")
    return found


def _rows_of_folder(folder: Path, scorer: SingleNetwork) -> list[tuple[Path, int]]:
    paths = list_photographs(folder)
    return [(path, _class_of_file(path, folder, scorer)) for path in paths]


def _class_of_file(path: Path, folder: Path, scorer: SingleNetwork) -> int:
    if path.parent != folder and not re.fullmatch(r"n\d{8}", path.parent.name):
        return _class_named(path.parent.name, scorer, flag=f"--photos {path}: the folder's class")
    if scorer.wnids:
        return class_of(path, scorer.wnids)
    raise UserError(
        f"--photos {path}: no class is known, expected {folder.name}/<class name or index>/"
        f"{path.name}"
    )


def _class_named(text: str, scorer: SingleNetwork, *, flag: str) -> int:
    return find_class(text, scorer.class_names, wnids=scorer.wnids, flag=flag)


def _read_gray(
    path: Path, side: tuple[int, int], *, convert: bool
) -> UInt8[np.ndarray, "high wide 1"]:
    try:
        with Image.open(path) as image:
            if image.mode != "L" and not convert:
                raise UserError(
                    f"{path}: found {image.mode}, expected 8-bit gray (--convert makes it gray)"
                )
            gray = centre_cut(image.convert("L"), side)
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{path}: cannot be read ({error}), expected a whole picture") from error
    return np.asarray(gray, np.uint8)[..., None]


def check_arrays(images: np.ndarray, labels: Sequence[int], scorer: SingleNetwork) -> Labelled:
    """Photographs that a program holds in memory.

    Args:
      images: `(n, height, width, channels)` 8-bit pictures, at least as large as the input.
      labels: `(n,)` indices of classes.
      scorer: Classifier.

    Raises:
      UserError: Shapes, types or classes do not fit.
    """
    images, found = np.asarray(images), np.asarray(labels)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != scorer.image_shape[2]:
        raise UserError(
            f"photos are {images.dtype} {images.shape}: expected uint8 (n, height, width, "
            f"{scorer.image_shape[2]})"
        )
    if found.shape != (len(images),) or not len(images) or found.dtype.kind not in "iu":
        raise UserError(f"labels have shape {found.shape}: expected ({len(images)},) whole numbers")
    classes = len(scorer.class_names)
    if found.min() < 0 or found.max() >= classes:
        raise UserError(f"labels go beyond 0..{classes - 1}")
    return Labelled(images, found.astype(np.int32), f"{len(images)} photographs")
