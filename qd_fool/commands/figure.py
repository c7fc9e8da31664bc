"""`qd-fool figure`: pictures of one run or several, laid out as the paper's figures."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from PIL import Image
from rich.console import Console

from qd_fool.commands.common.out_file import out_file
from qd_fool.commands.config import FigureConfig
from qd_fool.errors import UserError
from qd_fool.files import replacing
from qd_fool.models.class_names import find_classes
from qd_fool.report.figure import Picture, column_figure, grid_figure
from qd_fool.runs.load import AT_ONCE, LoadedArchive, archive_pictures, load_archive
from qd_fool.scoring.confidence import confidence_of, percent

FEW_CLASSES = 20
"""Highest number of classes for the layout in columns, by default."""


def figure_command(config: FigureConfig, *, console: Console) -> Path:
    """Write the figure, and print the confidence of its pictures.

    Raises:
      UserError: A directory is not a run, runs have different classes, or a class does not exist or
        has no elite.
    """
    path = out_file(config.out, default="figure.png", suffixes=(".png",))
    archives = [load_archive(run) for run in config.runs]
    for words in filter(None, (archive.words for archive in archives)):
        console.print(words)
    first = archives[0]
    for archive in archives[1:]:
        if archive.class_names != first.class_names:
            raise UserError(
                f"{archive.path} and {first.path} have different classes: expected the same"
            )
    chosen = None
    if config.classes is not None:
        chosen = find_classes(config.classes, first.class_names, wnids=first.wnids)
    layout = config.layout or ("columns" if len(first.class_names) <= FEW_CLASSES else "grid")
    if layout == "columns":
        figure, confidence = _columns(config, archives, chosen)
    else:
        figure, confidence = _grid(config, archives, chosen)
    with replacing(path) as partial:
        figure.save(partial)
    console.print(
        f"wrote {path}, {figure.width} x {figure.height} pixels: {len(confidence)} pictures, mean "
        f"confidence {percent(float(confidence.mean()))}, least {percent(float(confidence.min()))}"
    )
    return path


Figure = tuple[Image.Image, Float[np.ndarray, " n"]]
"""The drawn figure, and the confidence of each picture in it."""


def _columns(
    config: FigureConfig, archives: Sequence[LoadedArchive], chosen: list[int] | None
) -> Figure:
    names = archives[0].class_names
    cells = np.arange(len(names)) if chosen is None else np.array(chosen)
    if len(cells) * (config.cell + 6) > 32_000:
        raise UserError(
            f"{len(cells)} columns of {config.cell} pixels are too wide for a picture: --classes "
            "chooses, --layout grid breaks lines"
        )
    rows, confidence = [], []
    for archive in archives:
        held = np.asarray(archive.archive.occupied)[cells]
        pictures = archive_pictures(archive, cells)
        rows.append([image if there else None for image, there in zip(pictures, held, strict=True)])
        confidence.append(confidence_of(np.asarray(archive.archive.fitness)[cells[held]]))
    if not sum(map(len, confidence)):
        raise UserError(f"{archives[0].path}: none of these classes has an elite")
    heads = [names[k].split(",")[0] for k in cells]
    return column_figure(heads, rows, cell=config.cell), np.concatenate(confidence)


def _grid(
    config: FigureConfig, archives: Sequence[LoadedArchive], chosen: list[int] | None
) -> Figure:
    names = archives[0].class_names
    fitness = np.stack([np.asarray(archive.archive.fitness) for archive in archives])
    best = fitness.argmax(axis=0)  # for each class, the run whose elite is the most confident
    odds = fitness.max(axis=0)
    held = np.flatnonzero(odds > -np.inf)
    if chosen is None:
        order = held[np.argsort(-odds[held], kind="stable")]
        cells, pictures = _distinct(archives, best, order, config.count)
    else:
        empty = [k for k in chosen if k not in held]
        if empty:
            raise UserError(f"--classes names {empty[0]} ({names[empty[0]]}), which has no elite")
        cells = chosen
        pictures = _drawn(archives, best, np.array(cells))
    if not cells:
        raise UserError(f"{archives[0].path}: no cell has an elite")
    labels = [names[k].split(",")[0] for k in cells]
    figure = grid_figure(labels, pictures, columns=config.columns, cell=config.cell)
    return figure, confidence_of(odds[cells])


def _distinct(
    archives: Sequence[LoadedArchive],
    best: Int[np.ndarray, " classes"],
    order: Int[np.ndarray, " n"],
    count: int,
) -> tuple[list[int], list[Picture]]:
    """The first `count` classes with different pictures, since an elite may hold many cells."""
    cells: list[int] = []
    pictures: list[Picture] = []
    seen: set[bytes] = set()
    for start in range(0, len(order), AT_ONCE):
        part = order[start : start + AT_ONCE]
        for cell, picture in zip(part, _drawn(archives, best, part), strict=True):
            if len(cells) == count:
                return cells, pictures
            if picture.tobytes() not in seen:
                seen.add(picture.tobytes())
                cells.append(int(cell))
                pictures.append(picture)
    return cells, pictures


def _drawn(
    archives: Sequence[LoadedArchive],
    best: Int[np.ndarray, " classes"],
    cells: Int[np.ndarray, " n"],
) -> list[Picture]:
    """The picture of each class, from the run with the most confident one."""
    found: dict[int, Picture] = {}
    for i, archive in enumerate(archives):
        members = cells[best[cells] == i]
        if len(members):
            found |= dict(zip(members.tolist(), archive_pictures(archive, members), strict=True))
    return [found[k] for k in cells.tolist()]
