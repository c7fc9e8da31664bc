"""`qd-fool film`: a time-lapse of one class, or of the wall of all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from qd_fool.commands.common.out_file import file_stem, out_file
from qd_fool.commands.common.progress import progress_bar
from qd_fool.commands.config import FilmConfig
from qd_fool.errors import UserError
from qd_fool.models.class_names import find_class
from qd_fool.report.film import class_frames, wall_frames
from qd_fool.report.film_files import FORMATS, load_av, write_film
from qd_fool.runs.genomes import GenomeLog, rows_of_ids
from qd_fool.runs.holders import (
    Line,
    ancestors_of,
    evenly,
    frame_generations,
    holders_at,
    holders_of,
    take,
)
from qd_fool.runs.load import LoadedArchive, load_archive

CLASS_WIDTH, WALL_WIDTH = 500, 960
"""Default widths of a frame in pixels. That for a class is approximate."""


def film_run(config: FilmConfig, *, console: Console) -> Path:
    """Write the film, and print its caption.

    Raises:
      UserError: The directory is not a run or lacks genomes, the class does not exist, or the file
        can't be written.
    """
    archive = load_archive(config.run)
    if archive.words:
        console.print(archive.words)
    if config.class_name is None:
        stem, cell = "wall", None
    else:
        cell = find_class(config.class_name, archive.class_names, wnids=archive.wnids)
        stem = file_stem(archive.class_names[cell])
    path = out_file(config.out, default=f"{stem}.webp", suffixes=FORMATS)
    if path.suffix.lower() == ".mp4":
        load_av()
    if cell is None:
        frames, count, caption = _wall(config, archive)
    else:
        frames, count, caption = _class(config, archive, cell)
    with progress_bar(console, "frame", total=count, transient=True) as bar:
        write_film(path, bar.track(frames), count=count, seconds=config.seconds)
    size = path.stat().st_size / 1e6
    console.print(f"wrote {path} ({size:.1f} MB, {config.seconds:g} seconds): {count} {caption}")
    return path


Reel = tuple[Iterator[Image.Image], int, str]
"""Frames, their number, and a caption."""


def _class(config: FilmConfig, archive: LoadedArchive, cell: int) -> Reel:
    events, genomes = _past(archive)
    label = archive.class_names[cell].split(",")[0]
    holders = holders_of(events, cell)
    if not len(holders.id):
        raise UserError(f"--class {cell} ({label}): nothing was put into its cell in this run")
    line, caption = holders, f"pictures that held the cell of {label}"
    if _unknown(genomes, line):
        line = ancestors_of(events, cell)
        caption = (
            f"pictures of the line that led to the elite of {label}, whichever cell each was in "
            "(the pictures that held its cell before were not all kept; use evolve --keep-genomes "
            "all)"
        )
    if _unknown(genomes, line):
        raise UserError(
            f"{archive.path / 'genomes.npz'} lacks {_unknown(genomes, line)} of the {len(line.id)} "
            f"ancestors of {label}: expected the ancestors that lineage.npz names"
        )
    shown = take(line, evenly(len(line.id), config.frames))
    native = archive.encoding.image_shape[1]
    width = config.size or native * max(1, round(CLASS_WIDTH / native))
    frames = class_frames(archive, shown, class_index=cell, width=width)
    of = "" if len(shown.id) == len(line.id) else f"of {len(line.id)} "
    return frames, len(shown.id), f"{of}{caption}"


def _wall(config: FilmConfig, archive: LoadedArchive) -> Reel:
    events, genomes = _past(archive)
    known = rows_of_ids(genomes, np.unique(events["id"].astype(np.int64))) >= 0
    if not known.all():
        raise UserError(
            f"{archive.path} kept the genomes of {known.sum()} of the {len(known)} that ever held "
            "a cell: a film of the wall needs a run with --keep-genomes all, or --class for one"
        )
    generations = frame_generations(events["generation"], frames=config.frames)
    rows = holders_at(events, generations, classes=len(archive.class_names))
    frames = wall_frames(archive, generations, rows, width=config.size or WALL_WIDTH)
    caption = f"frames of the wall, from generation {generations[0]} to {generations[-1]}"
    foreign = int((np.asarray(archive.archive.id) < -1).sum())
    if foreign:
        caption += f"; {foreign} cells still hold elites of --init-from, which are not shown"
    return frames, len(generations), caption


def _past(archive: LoadedArchive) -> tuple[dict[str, np.ndarray], GenomeLog]:
    if archive.genomes is None:
        raise UserError(
            f"{archive.path} has no genomes.npz: a film needs a run with --keep-genomes ancestors "
            "or all"
        )
    if archive.events is None or not len(archive.events["id"]):
        raise UserError(f"{archive.path / 'lineage.npz'}: expected the log of insertions")
    return archive.events, archive.genomes


def _unknown(genomes: GenomeLog, line: Line) -> int:
    return int((rows_of_ids(genomes, line.id) < 0).sum())
