"""A contact sheet of the pictures that fool every network they were shown to."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageDraw, ImageFont

from qd_fool.files import replacing
from qd_fool.judge.transfer import SURE, fools_all
from qd_fool.scoring.confidence import confidence_of, percent

MOST = 100
"""Highest number of pictures on the sheet."""

FEW = 12
"""Number of pictures on the sheet if none fools all networks."""

CELL, MARGIN, CAPTION = 112, 10, 32
"""Sides in pixels: a thumbnail, the space between two, the caption's height."""


def write_sheet(
    path: Path,
    *,
    networks: int,
    log_odds: Float[np.ndarray, "images networks"],
    targets: Int[np.ndarray, " images"],
    paths: Sequence[Path],
    labels: Sequence[str],
) -> None:
    """Write a title and the pictures that fool all networks; or the best dozen, if none does.

    Args:
      path: PNG file to write.
      networks: Number of networks that scored the pictures.
      log_odds: Log-odds of each image's target; NaN for a network that was not asked.
      targets: Target class of each image.
      paths: Files of the images.
      labels: Labels of all classes.
    """
    order, least, count = fools_all(confidence_of(log_odds))
    fooled = f"all {networks} networks" if networks > 1 else "the one network"
    if count:
        shown = min(count, MOST)
        title = f"{count} of {len(order)} pictures fool {fooled} at >= {SURE}"
        title += "" if shown == count else f"; the {shown} with the highest least confidence"
    else:
        shown = min(len(order), FEW)
        title = f"no picture of {len(order)} fools {fooled} at >= {SURE}: the nearest {shown}"
    captions = [
        f"{labels[targets[i]].split(',')[0]}\n{percent(float(p))}"
        for i, p in zip(order[:shown], least[:shown], strict=True)
    ]
    sheet = _sheet([paths[i] for i in order[:shown]], captions, title)
    with replacing(path) as partial:
        sheet.save(partial)


def _sheet(paths: Sequence[Path], captions: Sequence[str], title: str) -> Image.Image:
    """Pictures in rows, a caption of two lines under each, and a title above all."""
    columns = min(max(6, math.ceil(math.sqrt(len(paths) * 1.6))), max(len(paths), 6))
    rows = math.ceil(len(paths) / columns)
    small, large = ImageFont.load_default(size=11), ImageFont.load_default(size=14)
    pitch_x, pitch_y = CELL + MARGIN, CELL + MARGIN + CAPTION
    head = 48
    sheet = Image.new("RGB", (columns * pitch_x + MARGIN, rows * pitch_y + head), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 6), title, fill="black", font=large)
    note = "below each picture: its target class, and the lowest confidence of any network in it"
    draw.text((MARGIN, 26), note, fill="#666", font=small)
    for i, (path, caption) in enumerate(zip(paths, captions, strict=True)):
        x, y = MARGIN + (i % columns) * pitch_x, head + (i // columns) * pitch_y
        with Image.open(path) as opened:
            sheet.paste(_thumbnail(opened.convert("RGB")), (x, y))
        label, percentage = caption.split("\n")
        while draw.textlength(label, font=small) > CELL:
            label = label.rstrip("…")[:-1] + "…"
        draw.multiline_text((x, y + CELL + 2), f"{label}\n{percentage}", fill="black", font=small)
    return sheet


def _thumbnail(image: Image.Image) -> Image.Image:
    """A square of the picture's centre: small ones enlarged without smoothing, others reduced."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    smaller = side > CELL
    return image.crop((left, top, left + side, top + side)).resize(
        (CELL, CELL), Image.Resampling.LANCZOS if smaller else Image.Resampling.NEAREST
    )
