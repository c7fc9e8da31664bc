"""Photographs as arrays for ImageNet networks: 8-bit RGB, short side resized, centre cut."""

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from qd_fool.errors import UserError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
# Pillow's readers that may see a file, whatever its suffix. The other readers are many and old, and
# one starts Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
MIN_SIDE = 32
MAX_ASPECT = 8

_MODES = {
    "1": "black and white",
    "L": "gray",
    "P": "palette",
    "LA": "gray with alpha",
    "PA": "palette with alpha",
    "RGBA": "RGB with alpha",
}


def list_photographs(directory: Path) -> list[Path]:
    """List the pictures in a directory and in the directories right below it, sorted by path.

    Args:
      directory: Directory of `<WNID>.jpg` files, or with one directory per WNID as in ImageNet.

    Raises:
      UserError: There is no such directory, or no picture in it.
    """
    if not directory.is_dir():
        raise UserError(f"{directory}: no such directory, expected one with photographs")
    found = sorted(
        path
        for pattern in ("*", "*/*")
        for path in directory.glob(pattern)
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not found:
        raise UserError(
            f"{directory}: found no photographs, expected files that end in "
            f"{', '.join(sorted(SUFFIXES))}, there or one directory below"
        )
    return found


def read_photograph(
    path: Path, *, side: int | tuple[int, int], convert: bool = False
) -> UInt8[np.ndarray, "height width 3"]:
    """Read a picture, resize its short side to `side` (bicubic), and cut the square at the centre.

    Sizes and offsets are rounded as torchvision's `Resize` and `CenterCrop` round them. A picture
    whose short side fits is not resampled. EXIF orientation and colour profiles are ignored, as in
    the pipelines that trained and measured ImageNet's networks (Caffe, torchvision).

    Args:
      path: JPEG, PNG, WebP, BMP or GIF file. The content decides, not the suffix.
      side: Side of the result in pixels, or its height and width.
      convert: Whether to accept pictures that are not 8-bit RGB. Gray is repeated, 16 bits are
        scaled to 8, alpha is laid on white, and the first of several frames is taken.

    Raises:
      UserError: The file is no whole picture, is not 8-bit RGB (unless `convert`), or the picture
        is too small, too long, or larger than Pillow thinks safe (`Image.MAX_IMAGE_PIXELS`).
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings are about details that don't matter
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            picture = _read_rgb(path, convert=convert)
        except UserError:
            raise
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise UserError(
                f"{path}: a picture of more pixels than are safe to decode, "
                f"expected up to {Image.MAX_IMAGE_PIXELS:,}"
            ) from error
        except Image.UnidentifiedImageError as error:
            raise UserError(
                f"{path}: not a picture of a known kind, expected JPEG, PNG, WebP, BMP or GIF"
            ) from error
        except Exception as error:  # decoders raise many types for a damaged file
            words = getattr(error, "strerror", None) or str(error) or type(error).__name__
            reason = " ".join(words.split())
            raise UserError(
                f"{path}: cannot be read ({reason}), expected a whole picture"
            ) from error
    return np.asarray(centre_cut(picture, side))


def read_photographs(
    paths: Sequence[Path],
    *,
    side: int | tuple[int, int],
    convert: bool = False,
    batch: int = 64,
) -> Iterator[UInt8[np.ndarray, "n height width 3"]]:
    """Yield stacks of `batch` pictures, each read as by `read_photograph`; the last may be smaller.

    Args:
      paths: Paths of the pictures.
      side: Side of the pictures in pixels, or their height and width.
      convert: Whether to accept pictures that are not 8-bit RGB.
      batch: Number of pictures in memory at once.

    Raises:
      UserError: The same as in `read_photograph`, when the batch with that picture is read.
    """
    for start in range(0, len(paths), batch):
        group = paths[start : start + batch]
        yield np.stack([read_photograph(path, side=side, convert=convert) for path in group])


def class_of(path: Path, wnids: Sequence[str]) -> int:
    """Return the class that a photograph's name states, as an index into `wnids`.

    Args:
      path: Path `<WNID>.jpg`, or `<WNID>_123.jpg` with any text after the underscore. For any other
        name, the name of the directory, `<WNID>/`, states the class.
      wnids: WordNet identifiers in the order of the classes.

    Raises:
      UserError: Neither name is one of `wnids`.
    """
    named = re.fullmatch(r"(n\d{8})(?:_.*)?", path.stem)
    wnid = named[1] if named else path.parent.name
    if wnid not in wnids:
        raise UserError(
            f"{path}: no class is known from this name, expected <WNID>.jpg, <WNID>_123.jpg or "
            f"<WNID>/NAME.jpg with one of {len(wnids)} WNIDs such as {wnids[0]}"
        )
    return list(wnids).index(wnid)


def _read_rgb(path: Path, *, convert: bool) -> Image.Image:
    """Decode a picture, in mode RGB.

    Raises:
      UserError: The header states another mode than 8-bit RGB, or a bad shape. Nothing has been
        decoded then.
      Exception: Any error that Pillow raises.
    """
    with Image.open(path, formats=FORMATS) as image:
        _check_shape(path, *image.size)
        found = _found(path, image)
        if found and not convert:
            raise UserError(
                f"{path}: found {found}, expected one picture of 8-bit RGB (--convert makes it one)"
            )
        image.load()
        return _to_rgb(image)


def _check_shape(path: Path, width: int, height: int) -> None:
    short, long = sorted((width, height))
    if short < MIN_SIDE or long > MAX_ASPECT * short:
        raise UserError(
            f"{path}: found {width}x{height} pixels, expected {MIN_SIDE} or more on the short side "
            f"and up to {MAX_ASPECT} times that on the long one"
        )


def _found(path: Path, image: Image.Image) -> str:
    """Describe the picture's format for people; empty for one frame of plain 8-bit RGB."""
    if (frames := getattr(image, "n_frames", 1)) > 1:
        return f"{frames} frames"
    if image.mode.startswith("I"):
        return "16-bit gray"
    if image.mode == "RGB" and image.has_transparency_data:
        return "RGB with a transparent colour"
    if image.mode != "RGB":
        return _MODES.get(image.mode, image.mode)
    if image.format == "PNG":
        # Pillow drops the lower halves of 16-bit colours without a warning: read the header.
        with path.open("rb") as file:
            if file.read(25)[24] == 16:
                return "16-bit RGB"
    return ""


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        # Pillow's own conversion clips at 255. Values are 0..65535 = 257 * 255.
        values = np.asarray(image).astype(np.int64)
        if (transparent := image.info.get("transparency")) is not None:
            values[values == transparent] = 65535
        gray = (values.clip(0, 65535) + 128) // 257
        return Image.fromarray(gray.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def centre_cut(image: Image.Image, side: int | tuple[int, int]) -> Image.Image:
    """Resize a picture (bicubic) and cut the centre; any mode.

    Args:
      image: Picture.
      side: Side of a square, or height and width. The side with the least to spare gets its length.
    """
    high, wide = (side, side) if isinstance(side, int) else side
    width, height = image.size
    by_height = width * high >= height * wide
    to, of = (high, height) if by_height else (wide, width)
    if to != of:
        width, height = to * width // of, to * height // of
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = round((width - wide) / 2), round((height - high) / 2)
    return image.crop((left, top, left + wide, top + high))
