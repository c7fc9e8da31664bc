"""`elites.csv` and `elites/`: the elites' facts and their PNGs."""

import csv
import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer
from PIL import Image

from qd_fool.archive import ClassArchive
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.files import cell_of, replacing, text_of
from qd_fool.map_elites.state import EvolutionState
from qd_fool.models.network import Network
from qd_fool.runs.metrics import is_number
from qd_fool.runs.pictures import distinct_pictures, picture_function, read_image, write_images
from qd_fool.scoring.confidence import confidence_of
from qd_fool.scoring.score import ScoreFunction, top_classes

ELITES = (
    "class_index",
    "label",
    "confidence",
    "fitness",
    "born_generation",
    "id",
    "parent_id",
    "parent_class",
    "png",
    "top5",
)


def read_elites(directory: Path) -> list[dict[str, str]]:
    """Read the rows of `elites.csv`.

    Raises:
      UserError: The file is missing or damaged.
    """
    path = directory / "elites.csv"
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: expected CSV in UTF-8 ({error})") from error
    for row in rows:
        if any(row.get(name) is None for name in ELITES) or not is_number(row["confidence"]):
            raise UserError(f"{path}: expected columns {', '.join(ELITES)}, found {row}")
    return [row | {"label": text_of(row["label"])} for row in rows]


def open_elite(directory: Path, png: str) -> Image.Image:
    """Load a picture that `elites.csv` names.

    Raises:
      UserError: The picture is missing or damaged.
    """
    path = directory / png
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path}: expected a picture ({error})") from error


def png_name(class_index: int, label: str) -> str:
    """Return a name such as `0291_lion.png`, which sorts by class and suits any file system."""
    first = label.split(",")[0]
    safe = re.sub(r"[^0-9A-Za-z]+", "_", first).strip("_") or "class"
    return f"{class_index:04d}_{safe}.png"


def write_elites(
    directory: Path,
    state: EvolutionState,
    *,
    scorer: Network,
    encoding: Encoding,
    score: ScoreFunction,
    chunk: int,
) -> float:
    """Write `elites/` and `elites.csv`. Each PNG is read back from disk and scored again.

    Args:
      directory: Directory of the run.
      state: State of the run, on the host.
      scorer: The network.
      encoding: Encoding of the genomes.
      score: Function that scores pictures as the run does.
      chunk: Number of pictures drawn at once.

    Returns:
      The largest absolute difference, over elites, between the confidence in the archive and the
      confidence of the PNG as read from disk. It is 0.0 for an empty archive.
    """
    archive = state.archive
    cells: Integer[np.ndarray, " n"] = np.flatnonzero(np.asarray(archive.fitness) > -np.inf)
    folder = directory / "elites"
    folder.mkdir(exist_ok=True)
    paths = {int(k): folder / png_name(int(k), scorer.class_names[k]) for k in cells}
    channels = encoding.image_shape[2]

    def there_and_back(image: np.ndarray, members: Sequence[int]) -> np.ndarray:
        return _write_and_read([paths[cell] for cell in members], image, channels=channels)

    # Cells may hold the same genome: each picture is drawn, packed and scored once. Parts bound the
    # memory. PNGs are packed in threads: packing takes most of the time, and threads can share it.
    draw = picture_function(encoding, chunk=chunk)
    tops: dict[int, list[list[Any]]] = {}
    difference = 0.0
    with ThreadPoolExecutor() as pool:
        for part, images in distinct_pictures(archive.genomes, cells, draw=draw):
            read = list(pool.map(there_and_back, images, part))
            again = score(scorer.params, np.stack(read))
            for log_odds, members in zip(again, part, strict=True):
                archived = confidence_of(np.asarray(archive.fitness)[members])
                rescored = confidence_of(log_odds[members])
                difference = max(difference, float(np.abs(archived - rescored).max()))
                found = top_classes(log_odds, scorer.class_names, count=5)
                top = [[t["class_index"], t["confidence"]] for t in found]
                tops |= dict.fromkeys(members, top)

    _write_table(directory, archive, scorer.class_names, [tops[cell] for cell in cells.tolist()])
    return difference


def _write_and_read(paths: Sequence[Path], image: np.ndarray, *, channels: int) -> np.ndarray:
    """Write a picture under each path, and read it back from disk.

    Raises:
      UserError: A file does not hold what was written.
    """
    data = write_images(paths, image)
    for path in paths[1:]:
        if path.read_bytes() != data:
            raise UserError(f"{path}: the disk returns other bytes than were written")
    return read_image(paths[0], channels=channels)


def write_unscored_table(
    directory: Path, archive: ClassArchive, class_names: Sequence[str]
) -> None:
    """Write `elites.csv` of pictures that no network was shown: its lists of top classes are empty.

    Args:
      directory: Directory of the run.
      archive: Cells, on the host.
      class_names: One name per cell.
    """
    held = int((np.asarray(archive.fitness) > -np.inf).sum())
    _write_table(directory, archive, class_names, [[]] * held)


def _write_table(
    directory: Path,
    archive: ClassArchive,
    class_names: Sequence[str],
    tops: Sequence[Sequence[Any]],
) -> None:
    """Write `elites.csv`: a row per cell that holds an elite, each with its top classes."""
    fitness = np.asarray(archive.fitness)
    lineage = (archive.born, archive.id, archive.parent_id, archive.parent_class)
    with (
        replacing(directory / "elites.csv") as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(ELITES)
        for cell, top in zip(np.flatnonzero(fitness > -np.inf).tolist(), tops, strict=True):
            writer.writerow(
                (
                    cell,
                    cell_of(class_names[cell]),
                    repr(float(confidence_of(fitness[cell]))),
                    repr(float(fitness[cell])),
                    *(int(np.asarray(field)[cell]) for field in lineage),
                    f"elites/{png_name(cell, class_names[cell])}",
                    json.dumps(top),
                )
            )
