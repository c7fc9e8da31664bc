"""A run directory's archive, read back into Python: genomes, pictures, and the other files.

Everything is read from plain files. No network, no weights and no code from the directory are
needed.
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Integer, PyTree, UInt8

from qd_fool.archive import ClassArchive
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.map_elites.state import EvolutionState, init
from qd_fool.models.class_names import class_labels
from qd_fool.runs.archive_npz import read_archive
from qd_fool.runs.elites import read_elites
from qd_fool.runs.genomes import GenomeLog, read_genome_log, rows_of_ids
from qd_fool.runs.lineage import Events, read_lineage
from qd_fool.runs.metrics import read_metrics
from qd_fool.runs.newest import archive_is_behind, newest_state
from qd_fool.runs.stored import StoredRun, open_run

AT_ONCE = 10
"""Pictures drawn per call. The last call is filled up, so that nothing recompiles."""


@dataclasses.dataclass(frozen=True, eq=False)
class LoadedArchive:
    """An archive, and the contents of the other files of a run directory.

    Attributes:
      path: Directory of the run.
      run: Contents of `run.json`.
      encoding: Encoding that draws the genomes.
      archive: Cells, as NumPy arrays `(cells, ...)`.
      class_names: One name per cell.
      wnids: One WordNet identifier per cell, for networks of ImageNet; else empty.
      elites: Rows of `elites.csv`, as text; None if the file is missing.
      metrics: Columns of `metrics.csv`, `(logged generations,)` each; None if the file is missing.
      events: Columns of `lineage.npz`, `(insertions,)` each; None if the file is missing.
      genomes: Genomes of elites and their ancestors, from `genomes.npz`; None if the file is
        missing.
      generation: Last generation of the archive.
      words: Sentence that says so, if a checkpoint is newer than `archive.npz` and was read in its
        place: the run is running, or was killed. Then `elites` is None.
    """

    path: Path
    run: dict[str, Any]
    encoding: Encoding
    archive: ClassArchive
    class_names: tuple[str, ...]
    wnids: tuple[str, ...] = ()
    elites: tuple[dict[str, str], ...] | None = None
    metrics: dict[str, np.ndarray] | None = None
    events: Events | None = None
    genomes: GenomeLog | None = None
    generation: int = 0
    words: str = ""


def load_archive(path: Path | str) -> LoadedArchive:
    """Read the archive of a run or an ascent, which may be running. Nothing is written.

    `run.json` and either `archive.npz` or a checkpoint must exist.

    Args:
      path: Directory of the run.

    Raises:
      UserError: One of the two is missing, or a file is damaged or does not match the others.
    """
    path = Path(path)
    run = open_run(path)
    if archive_is_behind(path):
        return _load_checkpoint(run)
    encoding = run.encoding()
    state = read_archive(path, _template(encoding, run.classes, path))
    archive = state.archive
    _check_archive(archive, path / "archive.npz")
    rows = read_elites(path) if (path / "elites.csv").exists() else None
    labels = _labels_of(rows or [], run.classes, path / "elites.csv")
    names, wnids = class_labels(run.record, labels)
    return LoadedArchive(
        path=path,
        run=run.record,
        encoding=encoding,
        archive=archive,
        class_names=names,
        wnids=wnids,
        elites=None if rows is None else tuple(rows),
        metrics=read_metrics(path) if (path / "metrics.csv").exists() else None,
        events=read_lineage(path),
        genomes=read_genome_log(path, encoding),
        generation=int(state.generation) - 1,
    )


def _load_checkpoint(run: StoredRun) -> LoadedArchive:
    """The archive of a run that is running, or was killed, from its newest whole checkpoint."""
    path, newest = run.path, newest_state(run)
    metrics, before = None, newest.generation + 1
    if (path / "metrics.csv").exists():
        columns = read_metrics(path)
        kept = columns["generation"] < before
        metrics = {name: column[kept] for name, column in columns.items()}
    names, wnids = class_labels(run.record, {})
    return LoadedArchive(
        path=path,
        run=run.record,
        encoding=run.encoding(),
        archive=newest.state.archive,
        class_names=names,
        wnids=wnids,
        metrics=metrics,
        events=read_lineage(path, before=before),
        genomes=newest.genomes,
        generation=newest.generation,
        words=run.as_of(newest.generation),
    )


def archive_pictures(
    archive: LoadedArchive, classes: Iterable[Any] | None = None
) -> UInt8[np.ndarray, "n height width channels"]:
    """Draw the pictures of cells from their genomes. Neither PNGs nor the network are needed.

    On the kind of machine that evolved them, the pictures are the bytes that were scored. On
    another machine, a few pixels of a CPPN's picture may differ. The picture of an empty cell is
    the picture of a blank genome.

    Args:
      archive: Archive from `load_archive`.
      classes: Class indices of the cells, as a list, an array or a column; all by default.

    Raises:
      UserError: There is no such class.
    """
    count = len(archive.class_names)
    cells = np.arange(count) if classes is None else np.array([*classes], np.int64)
    bad = cells[(cells < 0) | (cells >= count)]
    if len(bad):
        raise UserError(f"class is {bad[0]}: {archive.path} has classes 0 to {count - 1}")
    return render_genomes(archive.encoding, archive.archive.genomes, cells)


def ancestor_pictures(
    archive: LoadedArchive, ids: Iterable[Any]
) -> UInt8[np.ndarray, "n height width channels"]:
    """Draw the pictures of individuals that once held a cell, from `genomes.npz`.

    Args:
      archive: Archive from `load_archive`.
      ids: Ids of the individuals, for instance a column of `ancestor_frame`.

    Raises:
      UserError: The run kept no such genomes.
    """
    log = archive.genomes
    if log is None:
        raise UserError(
            f"{archive.path} has no genomes.npz: expected a run with --keep-genomes ancestors"
        )
    wanted = np.array([*ids], np.int64)
    rows = rows_of_ids(log, wanted)
    if (rows < 0).any():
        raise UserError(f"{archive.path / 'genomes.npz'}: no genome of id {wanted[rows < 0][0]}")
    return render_genomes(archive.encoding, log.genomes, rows)


def _template(encoding: Encoding, classes: int, path: Path) -> EvolutionState:
    """Return the shapes and types of the arrays that `archive.npz` must hold."""
    if classes < 1:
        raise UserError(f"{path / 'run.json'}: classes is {classes}, expected 1 or more")
    shapes = jax.eval_shape(lambda: init(encoding, classes, seed=0))
    # Counters have values: `read_archive` takes them if an older version did not keep them.
    counters = jax.tree.map(
        lambda s: np.zeros(s.shape, s.dtype), dataclasses.replace(shapes, archive=None)
    )
    return dataclasses.replace(counters, archive=shapes.archive)


def _check_archive(archive: ClassArchive, path: Path) -> None:
    fitness, parents = np.asarray(archive.fitness), np.asarray(archive.parent_class)
    cells = len(fitness)
    if np.isnan(fitness).any() or (fitness == np.inf).any():
        raise UserError(f"{path}: archive.fitness is NaN or infinite in some cell, expected finite")
    if parents.min() < -1 or parents.max() >= cells:
        raise UserError(f"{path}: archive.parent_class goes beyond -1..{cells - 1}")


def _labels_of(rows: Sequence[Mapping[str, str]], classes: int, path: Path) -> dict[int, str]:
    try:
        labels = {int(row["class_index"]): row["label"] for row in rows}
    except ValueError as error:
        raise UserError(f"{path}: expected whole numbers in class_index ({error})") from error
    if labels and not 0 <= min(labels) <= max(labels) < classes:
        raise UserError(f"{path}: class_index goes beyond 0..{classes - 1}")
    return labels


def render_genomes(
    encoding: Encoding, genomes: PyTree[np.ndarray], rows: Integer[np.ndarray, " n"]
) -> UInt8[np.ndarray, "n height width channels"]:
    """Draw the pictures of some rows of a stack of genomes."""
    render = jax.jit(encoding.render)
    filled = np.resize(rows, -(-len(rows) // AT_ONCE) * AT_ONCE)
    # Filled in place: pictures of many classes fit into memory once, but not twice.
    images = np.empty((len(filled), *encoding.image_shape), np.uint8)
    for start in range(0, len(filled), AT_ONCE):
        group = filled[start : start + AT_ONCE]
        drawn = render(jax.tree.map(lambda a, g=group: a[g], genomes))
        images[start : start + AT_ONCE] = drawn
    return images[: len(rows)]
