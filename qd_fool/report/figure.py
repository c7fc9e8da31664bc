"""Figures in the paper's layouts: digits in columns under their labels, or a grid of classes.

Source: figures 4 and 5 (one column per class, one row per run), figures 1 and 8 (a grid with labels
below the pictures).
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
    """Draw a figure with one column per class, under a label, and one row per run.

    Args:
      heads: One label per column.
      rows: One row per run, with one picture per column; None where the cell is empty.
      cell: Side of a picture's place in pixels.

    Returns:
      An RGB image, black on white.
    """
    font = font_of(max(10, cell // 5))
    pitch, head = cell + GAP, round(1.5 * max(10, cell // 5))
    figure = Image.new("RGB", (len(heads) * pitch + GAP, head + GAP + len(rows) * pitch), "white")
    draw = ImageDraw.Draw(figure)

    # The labels, then the pictures.
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
    """Draw a grid of classes, line after line, with a label under each picture.

    Args:
      labels: One label per picture.
      pictures: Pictures from left to right, line after line.
      columns: Most columns of the grid.
      cell: Side of a picture's place in pixels.

    Returns:
      An RGB image, black on white.
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
    # The outline shows where a white picture ends, and that a cell is empty.
    ImageDraw.Draw(figure).rectangle((x - 1, y - 1, x + cell, y + cell), outline="#b0b0b0")
