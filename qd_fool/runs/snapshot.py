"""A run directory that readers can rely on: complete, and all of one generation.

A run that is running, or was killed, has a checkpoint that is newer than its other files, and a
reference archive may lack its PNGs. For these a copy is made in a temporary folder. The run's own
directory is not touched.
"""

import dataclasses
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from qd_fool.archive import ClassArchive
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.files import write_json
from qd_fool.models.class_names import class_labels
from qd_fool.runs.archive_npz import write_archive
from qd_fool.runs.elites import png_name, read_elites, write_unscored_table
from qd_fool.runs.genomes import write_genome_log
from qd_fool.runs.lineage import read_lineage, write_lineage
from qd_fool.runs.load import load_archive, render_genomes
from qd_fool.runs.metrics import evaluations_at, truncate_metrics
from qd_fool.runs.newest import Newest, archive_is_behind, newest_state
from qd_fool.runs.pictures import distinct_pictures, write_images
from qd_fool.runs.stored import StoredRun, open_run

FILES = ("run.json", "metrics.csv", "lineage.npz", "genomes.npz", "archive.npz", "elites.csv")


@dataclasses.dataclass(frozen=True)
class Readable:
    """A directory to read a run from.

    Attributes:
      path: The run's own directory, or a temporary copy.
      words: Sentence about a copy, for people; empty for the run's own directory.
    """

    path: Path
    words: str = ""

    @property
    def is_copy(self) -> bool:
        """Whether the directory is a temporary copy."""
        return bool(self.words)


@contextmanager
def readable(run_dir: Path) -> Iterator[Readable]:
    """Yield a directory that holds all plain files of a run, with a PNG for each elite.

    Args:
      run_dir: Directory of a run of any kind, which may be running. Nothing is written there.

    Raises:
      UserError: The directory is not a run directory, is damaged, or has no elites yet.
    """
    run = open_run(run_dir)
    behind = archive_is_behind(run_dir) or not (run_dir / "elites.csv").exists()
    if not behind and not lacking_pictures(run_dir):
        yield Readable(run_dir)
        return
    with tempfile.TemporaryDirectory(prefix="qd-fool-") as folder:
        copy = Path(folder) / (run_dir.resolve().name or "run")
        copy.mkdir()
        if behind:
            newest = newest_state(run)
            write_snapshot(run, newest, copy)
            words = "; ".join([*newest.problems, run.as_of(newest.generation)])
        else:
            words = drawn_words(_copy_and_draw(run_dir, copy), run_dir)
        yield Readable(copy, words)


def drawn_words(count: int, run_dir: Path) -> str:
    """Return a sentence about pictures that were drawn from genomes."""
    return (
        f"drew {count} pictures that {run_dir} lacked, from its genomes; a few pixels may differ "
        "from the scored ones if the run was made on another kind of machine"
    )


def lacking_pictures(run_dir: Path) -> list[int]:
    """Return the cells whose PNG a run directory lacks and whose genome it has.

    Raises:
      UserError: `elites.csv` is damaged, or is missing beside an `archive.npz`.
    """
    rows = read_elites(run_dir)
    if not (run_dir / "archive.npz").exists():
        return []
    missing = [row for row in rows if not (run_dir / row["png"]).exists()]
    # A name of another form may lead out of the run directory, so its row is skipped.
    return [
        int(row["class_index"])
        for row in missing
        if row["class_index"].isdecimal()
        and row["png"] == f"elites/{png_name(int(row['class_index']), row['label'])}"
    ]


def write_snapshot(run: StoredRun, newest: Newest, folder: Path, *, pictures: bool = True) -> None:
    """Write the plain files of a run as they would be after the generation of a checkpoint.

    Args:
      run: The run, which may be running.
      newest: State of its checkpoint.
      folder: Empty directory to write.
      pictures: Whether to draw the pictures, and write the table of elites.

    Raises:
      UserError: A file of the run is damaged.
    """
    for name in ("metrics.csv", "lineage.npz", "genomes.npz"):
        if (run.path / name).exists():
            shutil.copyfile(run.path / name, folder / name)
    facts: dict[str, Any] = {}
    if newest.seconds is not None:  # from a checkpoint, so the logs may be ahead of it
        before = newest.generation + 1
        truncate_metrics(folder, before=before)
        events = read_lineage(folder, before=before)
        if events is not None:
            write_lineage(folder, events)
        facts = {
            "generations_done": newest.generation,
            "evaluations": evaluations_at(folder, newest.generation),
            "seconds": newest.seconds,
        }
    if newest.genomes is not None:
        write_genome_log(folder, newest.genomes)
    write_archive(folder, newest.state)
    known = {name: value for name, value in facts.items() if value is not None}
    write_json(folder / "run.json", run.record | known)
    if pictures:
        _draw_all(run, newest.state.archive, folder)


def _draw_all(run: StoredRun, archive: ClassArchive, folder: Path) -> None:
    """Write the PNG of each elite, and `elites.csv` without the network's top classes."""
    cells = np.flatnonzero(np.asarray(archive.fitness) > -np.inf)
    if not len(cells):
        raise UserError(f"{run.path} has no elites yet")
    names, _ = class_labels(run.record, {})
    (folder / "elites").mkdir()
    paths = {cell: folder / "elites" / png_name(cell, names[cell]) for cell in cells.tolist()}
    _draw(run.encoding(), archive.genomes, paths)
    write_unscored_table(folder, archive, names)


def _draw(encoding: Encoding, genomes: PyTree[np.ndarray], paths: Mapping[int, Path]) -> None:
    """Write the PNG of each cell to its path. PNGs are packed in threads, and once if equal."""

    def draw(part: PyTree[np.ndarray]) -> np.ndarray:
        return render_genomes(encoding, part, np.arange(len(jax.tree.leaves(part)[0])))

    def write(cells: list[int], image: np.ndarray) -> None:
        write_images([paths[cell] for cell in cells], image)

    with ThreadPoolExecutor() as pool:
        for groups, images in distinct_pictures(genomes, np.array([*paths]), draw=draw):
            list(pool.map(write, groups, images))


def _copy_and_draw(run_dir: Path, folder: Path) -> int:
    """Copy a run's plain files, and draw the pictures that it lacks. Returns their number."""
    for name in FILES:
        if (run_dir / name).exists():
            shutil.copyfile(run_dir / name, folder / name)
    (folder / "elites").mkdir()
    for row in read_elites(run_dir):
        png = run_dir / row["png"]
        if png.exists() and png.parent == run_dir / "elites":
            shutil.copyfile(png, folder / "elites" / png.name)
    return draw_missing(run_dir, folder)


def draw_missing(run_dir: Path, folder: Path) -> int:
    """Draw the PNGs that a run directory lacks from its genomes.

    Args:
      run_dir: Directory of the run.
      folder: Directory whose `elites/` gets the PNGs; it may be the run's own.

    Returns:
      The number of pictures drawn.

    Raises:
      UserError: The archive is damaged.
    """
    cells = lacking_pictures(run_dir)
    if not cells:
        return 0
    archive = load_archive(run_dir)
    (folder / "elites").mkdir(exist_ok=True)
    names = archive.class_names
    paths = {cell: folder / "elites" / png_name(cell, names[cell]) for cell in cells}
    _draw(archive.encoding, archive.archive.genomes, paths)
    return len(cells)
