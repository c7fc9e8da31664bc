"""The frames of a film: the history of the picture of one class, or of the wall of all classes.

Pictures are drawn from the genomes that a run kept, a few at a time, when frames need them.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image, ImageDraw

from qd_fool.errors import UserError
from qd_fool.report.captions import Font, fitted, font_of, paste_centred, scaled
from qd_fool.report.sheet import sheet_columns
from qd_fool.runs.holders import Line
from qd_fool.runs.load import LoadedArchive, ancestor_pictures
from qd_fool.runs.pictures import to_image
from qd_fool.scoring.confidence import percent

AT_ONCE = 100
"""Pictures drawn in one call, which bounds memory."""
LINES = 3
"""Lines of the caption under the picture of a class."""
READABLE = 56
"""Least width, in pixels, of a cell of the wall that has a caption."""
BACKGROUND = "#c8c8c8"
"""Background of a wall, on which white pictures stand out."""
SMALLEST = 4
"""Least width, in pixels, of a cell of the wall."""


def class_frames(
    archive: LoadedArchive, line: Line, *, class_index: int, width: int
) -> Iterator[Image.Image]:
    """Draw the frames of one class, one frame per individual.

    Args:
      archive: Archive with the genomes of all individuals in the line.
      line: Individuals to show, in order.
      class_index: Class that the film is about.
      width: Width of a frame in pixels.

    Returns:
      RGB pictures, all of one size, both sides even.
    """
    # The layout: the picture above, three lines of text below.
    height, native_width, _ = archive.encoding.image_shape
    wide = width - width % 2
    picture = max(1, round(wide * height / native_width))
    font = font_of(max(10, wide // 24))
    pitch = _pitch(font)
    tall = _even(picture + pitch * LINES + pitch // 2)
    evaluations = evaluations_at(archive.metrics, line.born)

    # One frame per individual: class, time, and confidence in the cell where the individual was.
    for i, image in enumerate(_drawn(archive, line.id)):
        frame = Image.new("RGB", (wide, tall), "white")
        paste_centred(frame, to_image(image), (0, 0, wide, picture))
        cell = int(line.cell[i])
        sure = line.confidence[i]
        value = "confidence not logged" if math.isnan(sure) else f"confidence {percent(sure)}"
        elsewhere = _short(archive.class_names[cell])
        words = (
            _short(archive.class_names[class_index]),
            _when(int(line.born[i]), evaluations, i),
            value if cell == class_index else f"{value} in {elsewhere}",
        )
        place = (wide // 40, picture + pitch // 4)
        _write(frame, words, place, font=font, width=wide - wide // 20)
        yield frame


def wall_frames(
    archive: LoadedArchive,
    generations: Int[np.ndarray, " frames"],
    rows: Int[np.ndarray, "frames classes"],
    *,
    width: int,
) -> Iterator[Image.Image]:
    """Draw the frames of the wall of all classes, laid out as the contact sheet.

    Args:
      archive: Archive with the genomes of all individuals to show, and the log of insertions.
      generations: Generations after which the wall is shown, one per frame.
      rows: Row of the log of each cell's holder in each frame; -1 where a cell is empty.
      width: Width of a frame in pixels; the result may be a little narrower.

    Returns:
      RGB pictures, all of one size, both sides even.

    Raises:
      UserError: The frame is so narrow that nothing could be seen.
    """
    # The layout: a heading, and a grid of cells, with captions if the cells are wide enough.
    events = archive.events or {}
    classes = rows.shape[1]
    columns = sheet_columns(classes)
    margin = max(2, min(8, width // (columns * 12)))
    cell = (width - margin) // columns - margin
    if cell < SMALLEST:
        least = columns * (SMALLEST + 2) + 2
        raise UserError(f"--size is {width}: expected {least} or more, for {columns} columns")
    wide = _even(columns * (cell + margin) + margin)
    small, large = font_of(max(9, cell // 10)), font_of(max(11, wide // 48))
    under = 2 * _pitch(small) if cell >= READABLE else 0
    head = _pitch(large) + margin
    tall = _even(head + -(-classes // columns) * (cell + margin + under) + margin)
    wall = Image.new("RGB", (wide, tall), BACKGROUND)

    # The cells whose holder differs from the frame before.
    evaluations = evaluations_at(archive.metrics, generations)
    before = np.concatenate([np.full((1, classes), -1, rows.dtype), rows[:-1]])
    changed = (rows != before) & (rows >= 0)
    for i, now in enumerate(rows):
        # Draw the new pictures. One picture may win many cells at once: it is drawn once.
        ids = events["id"].astype(np.int64)[now]
        new = np.unique(ids[changed[i]])
        drawn = (scaled(to_image(image), cell, cell) for image in _drawn(archive, new))
        thumbnails = dict(zip(new.tolist(), drawn, strict=True))

        # Redraw the cells that changed; all others stay as they are in the frame before.
        confidence = np.where(now >= 0, events["confidence"][now].astype(np.float64), 0.0)
        for k in np.flatnonzero(changed[i]):
            x = margin + int(k) % columns * (cell + margin)
            y = head + int(k) // columns * (cell + margin + under)
            wall.paste(BACKGROUND, (x, y, x + cell, y + cell + under))
            paste_centred(wall, thumbnails[int(ids[k])], (x, y, cell, cell))
            if under:
                words = (_short(archive.class_names[k]), percent(confidence[k]))
                _write(wall, words, (x, y + cell), font=small, width=cell)

        # Write the heading on a copy, because the wall is used for the next frame.
        frame = wall.copy()
        heading = (
            f"{_when(int(generations[i]), evaluations, i)} · "
            f"median confidence {percent(float(np.median(confidence)))} · "
            f"{int((confidence >= 0.99).sum())} of {classes} >= 99%"
        )
        _write(frame, (heading,), (margin, margin // 2), font=large, width=wide - 2 * margin)
        yield frame


def evaluations_at(
    metrics: Mapping[str, np.ndarray] | None, generations: Int[np.ndarray, " n"]
) -> Sequence[int] | None:
    """Count the evaluations up to the end of each generation; None if the run logged none.

    Between logged generations, the number is interpolated.
    """
    if metrics is None or not len(metrics["generation"]):
        return None
    found = np.interp(generations, metrics["generation"], metrics["evaluations"])
    return [round(float(number)) for number in found]


def _when(generation: int, evaluations: Sequence[int] | None, frame: int) -> str:
    counted = "" if evaluations is None else f" · {evaluations[frame]:,} evaluations"
    return f"generation {generation:,}{counted}"


def _drawn(
    archive: LoadedArchive, ids: Int[np.ndarray, " n"]
) -> Iterator[UInt8[np.ndarray, "height width channels"]]:
    for start in range(0, len(ids), AT_ONCE):
        yield from ancestor_pictures(archive, ids[start : start + AT_ONCE])


def _write(
    onto: Image.Image, lines: Sequence[str], place: tuple[int, int], *, font: Font, width: int
) -> None:
    draw, pitch = ImageDraw.Draw(onto), _pitch(font)
    for k, text in enumerate(lines):
        draw.text(
            (place[0], place[1] + k * pitch), fitted(text, font, width), fill="black", font=font
        )


def _pitch(font: Font) -> int:
    """Return the distance from one line of text to the next, in pixels."""
    return math.ceil(1.05 * font.getbbox("Ag|")[3])


def _short(label: str) -> str:
    return label.split(",")[0]


def _even(length: int) -> int:
    return length + length % 2
