"""The height and width of a network's input. This module imports no JAX."""

import math

from qd_fool.errors import UserError

Size = int | tuple[int, int]
"""Side of a square in pixels, or height and width."""


def sides_of(size: Size) -> tuple[int, int]:
    """Return height and width.

    Args:
      size: Side of a square, or height and width.
    """
    if isinstance(size, int):
        return size, size
    height, width = size
    return height, width


def size_of(height: int, width: int) -> Size:
    """Return the side of a square, or height and width.

    Args:
      height: Pixels from top to bottom.
      width: Pixels from left to right.
    """
    return height if height == width else (height, width)


def size_in_words(size: Size) -> str:
    """Return "HEIGHTxWIDTH".

    Args:
      size: Side of a square, or height and width.
    """
    height, width = sides_of(size)
    return f"{height}x{width}"


def size_on_record(height: int, width: int) -> int | str:
    """Return the side of a square, or "HEIGHTxWIDTH", as flags take it.

    Args:
      height: Pixels from top to bottom.
      width: Pixels from left to right.
    """
    return height if height == width else f"{height}x{width}"


def read_size(value: Size | str, *, flag: str = "--input-size") -> Size:
    """Return a size from a number, a pair, or a text such as "224" or "48x192".

    Args:
      value: Number, pair or text.
      flag: Name of the flag, for the error.

    Raises:
      UserError: Something else.
    """
    found: list[int] = []
    if isinstance(value, str):
        parts = value.lower().split("x")
        found = [int(part) for part in parts if part.isascii() and part.isdigit()]
        found = found if len(found) == len(parts) else []
    elif isinstance(value, int):
        found = [value]
    elif len(value) == 2:
        found = [int(side) for side in value]
    if len(found) not in (1, 2) or min(found) < 1:
        raise UserError(
            f"{flag} is {value}: expected the side in pixels, such as 224, or height and width, "
            "such as 48x192"
        )
    return size_of(found[0], found[-1])


USUAL_SIDE, MOST_AT_ONCE = 224, 200
"""Side of a usual input in pixels, and the highest number of smaller pictures per call."""


def pictures_at_once(sides: tuple[int, int], usual: int) -> int:
    """Return how many pictures a network of a user's own gets per call, by default.

    Args:
      sides: Height and width of its input.
      usual: Number of pictures of 224x224 pixels. The total of pixels is kept, up to 200 pictures.
    """
    return max(1, min(MOST_AT_ONCE, usual * USUAL_SIDE**2 // math.prod(sides)))
