"""Figures laid out as the paper's: digits in columns under their labels, or a grid of classes.

Source: figures 4 and 5 (a column a class, a row a run), figures 1 and 8 (a grid, labels below).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from qd_fool.report.captions import fitted, font_of, paste_centred
from qd_fool.runs.pictures import to_image

GAP = 6
"""Pixels between pictures."""

Picture = UInt8[np.ndarray, "height width channels"]


def column_figure(
    heads: Sequence[str], rows: Sequence[Sequence[Picture | None]], *, cell: int
) -> Image.Image:
    """A column a class, its label above; a row a run.

    Args:
      heads: a label a column.
      rows: of each run, a picture a column; None where its cell is empty.
      cell: side of a picture's place in pixels.

    Returns:
      RGB, black on white.
    """
    font = font_of(max(10, cell // 5))
    pitch, head = cell + GAP, round(1.5 * max(10, cell // 5))
    figure = Image.new("RGB", (len(heads) * pitch + GAP, head + GAP + len(rows) * pitch), "white")
    draw = ImageDraw.Draw(figure)
    for k, text in enumerate(heads):
        middle = (GAP + k * pitch + cell / 2, head / 2 + GAP / 2)
        draw.text(middle, fitted(text, font, cell), fill="black", font=font, anchor="mm")
    for i, row in enumerate(rows):
        for k, picture in enumerate(row):
            place = (GAP + k * pitch, head + GAP + i * pitch)
            _put(figure, picture, place, cell)
    return figure


def grid_figure(
    labels: Sequence[str], pictures: Sequence[Picture], *, columns: int, cell: int
) -> Image.Image:
    """A grid of classes, line after line, the label under each picture.

    Args:
      labels: a label a picture.
      pictures: in the order in which they are read.
      columns: of the grid, at most.
      cell: side of a picture's place in pixels.

    Returns:
      RGB, black on white.
    """
    columns = min(columns, len(pictures))
    font = font_of(max(10, cell // 9))
    under = round(1.6 * max(10, cell // 9))
    pitch_x, pitch_y = cell + GAP, cell + under + GAP
    lines = -(-len(pictures) // columns)
    figure = Image.new("RGB", (columns * pitch_x + GAP, lines * pitch_y + GAP), "white")
    draw = ImageDraw.Draw(figure)
    for i, (label, picture) in enumerate(zip(labels, pictures, strict=True)):
        x, y = GAP + i % columns * pitch_x, GAP + i // columns * pitch_y
        _put(figure, picture, (x, y), cell)
        text = fitted(label, font, cell)
        place = (x + cell / 2, y + cell + under / 2)
        draw.text(place, text, fill="black", font=font, anchor="mm")
    return figure


def _put(figure: Image.Image, picture: Picture | None, place: tuple[int, int], cell: int) -> None:
    x, y = place
    if picture is not None:
        image = to_image(picture)
        paste_centred(figure, image, (x, y, cell, cell))
    # White pictures end somewhere, and empty cells are there.
    ImageDraw.Draw(figure).rectangle((x - 1, y - 1, x + cell, y + cell), outline="#b0b0b0")
