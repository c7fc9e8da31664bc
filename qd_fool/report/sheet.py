"""A contact sheet: all elites in one image, each with label and confidence."""

import math
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from qd_fool.files import replacing
from qd_fool.runs.elites import open_elite, read_elites
from qd_fool.scoring.confidence import percent

CAPTIONED = 2500
"""Number of elites from which on a sheet has small pictures without captions."""


def write_contact_sheet(
    run_dir: Path, *, out: Path | None = None, cell: int | None = None, margin: int = 8
) -> Path:
    """Write `contact_sheet.png` from `elites.csv` and the PNGs that it names.

    Pictures are enlarged without smoothing, and reduced with smoothing.

    Args:
      run_dir: Directory of a run that has ended or was stopped.
      out: Path of the picture. By default `contact_sheet.png` in the directory of the run.
      cell: Side of a thumbnail in pixels. By default 112, 80 from 100 elites on, or 32 from 2500
        on. Thumbnails of less than 50 pixels have no caption.
      margin: Pixels between thumbnails.

    Raises:
      UserError: There is no `elites.csv`.
    """
    elites = read_elites(run_dir)
    if cell is None:
        cell = 32 if len(elites) >= CAPTIONED else 80 if len(elites) >= 100 else 112
    captions = cell >= 50
    margin = margin if captions else margin // 4
    columns = sheet_columns(len(elites))
    rows = max(1, math.ceil(len(elites) / columns))
    font = ImageFont.load_default(size=12 if cell > 100 else 10)
    pitch_x, pitch_y = cell + margin, cell + margin + (32 if captions else 0)
    sheet = Image.new("RGB", (columns * pitch_x + margin, rows * pitch_y + margin), "white")
    draw = ImageDraw.Draw(sheet)
    for i, elite in enumerate(elites):
        x = margin + (i % columns) * pitch_x
        y = margin + (i // columns) * pitch_y
        image = open_elite(run_dir, elite["png"]).convert("RGB")
        smaller = max(image.size) > cell
        thumb = image.resize(
            (cell, cell), Image.Resampling.LANCZOS if smaller else Image.Resampling.NEAREST
        )
        sheet.paste(thumb, (x, y))
        if not captions:
            continue
        caption = (
            f"{elite['label'].split(',')[0][: cell // 7]}\n{percent(float(elite['confidence']))}"
        )
        draw.multiline_text((x, y + cell + 2), caption, fill="black", font=font)
    path = out or run_dir / "contact_sheet.png"
    with replacing(path) as partial:
        sheet.save(partial)
    return path


def sheet_columns(count: int) -> int:
    """Return the number of columns of a sheet, which is a little wider than it is high."""
    return max(1, math.ceil(math.sqrt(count * 1.6)))
