"""The run directory: plain files that can be read without this package.

run.json      config, seed, versions, device, weights' sha256, schema version
metrics.csv   a row a logged generation
elites.csv    a row a cell
lineage.npz   every insertion
genomes.npz   of elites and their ancestors, or of all that won a cell
elites/       PNGs: exactly the 8-bit images that were scored
archive.npz   genomes and scores, no pickle
checkpoints/  Orbax
report.html   and contact_sheet.png
"""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree
from PIL import Image

from qd_fool.errors import UserError
from qd_fool.files import replacing
from qd_fool.map_elites import EvolutionState, GenerationLog

SCHEMA = 1
METRICS = (
    "generation",
    "evaluations",
    "seconds",
    "median_confidence",
    "mean_confidence",
    "min_confidence",
    "max_confidence",
    "cells_over_99",
    "replacements",
    "distinct",
    "occupied",
    "refused_mutations",
)
LINEAGE = ("generation", "class_index", "id", "parent_id", "parent_class", "confidence", "fitness")

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

Events = dict[str, np.ndarray]


def confidence_of(fitness: Any) -> Any:  # an array of one value comes back as a number
    """Log-odds to confidence in [0, 1], in float64, where it goes on past float32's 1."""
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(-np.asarray(fitness, np.float64)))


def read_run(directory: Path) -> dict[str, Any]:
    """The contents of `run.json`.

    Raises:
      UserError: not a run directory, or one that this version can't read.
    """
    path = directory / "run.json"
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{directory} is not a run directory: no readable run.json") from error
    except ValueError as error:
        raise UserError(f"{path}: expected JSON in UTF-8 ({error})") from error
    if not isinstance(run, dict) or run.get("schema") != SCHEMA:
        found = run.get("schema") if isinstance(run, dict) else type(run).__name__
        raise UserError(f"{path}: schema is {found!r}, this version reads {SCHEMA}")
    for key, kind in (("config", dict), ("classes", int), ("device", dict), ("versions", dict)):
        if not isinstance(run.get(key), kind):
            raise UserError(f"{path}: {key} is {run.get(key)!r}, expected a {kind.__name__}")
    return run


def metric_rows(
    log: GenerationLog,
    *,
    count: int,
    evaluations: Callable[[int], int],
    seconds: Sequence[float],
    every: int,
) -> list[tuple[Any, ...]]:
    """Rows for `metrics.csv`, of a segment's first `count` generations.

    Args:
      log: of a segment, on the host, arrays `(length, ...)`.
      count: generations that ran.
      evaluations: counted up to the end of a generation.
      seconds: `(count,)` run time without compilation.
      every: log each generation that is a multiple of this.
    """
    stats = log.statistics
    rows = []
    for i in range(count):
        generation = int(log.generation[i])
        if generation % every:
            continue
        rows.append(
            (
                generation,
                evaluations(generation),
                f"{seconds[i]:.3f}",
                *(f"{float(getattr(stats, name)[i]):.9g}" for name in METRICS[3:7]),
                int(stats.cells_over_99[i]),
                int(log.replacements[i]),
                int(stats.distinct[i]),
                int(stats.occupied[i]),
                int(log.refused[i]),
            )
        )
    return rows


def append_metrics(directory: Path, rows: Sequence[Sequence[Any]]) -> None:
    """Append rows to `metrics.csv`, with a header where it is new."""
    path = directory / "metrics.csv"
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(METRICS)
        writer.writerows(rows)


def _metrics_body(path: Path) -> list[list[str]]:
    """Rows of `metrics.csv` without the header; a last line torn by a crash is left out.

    Raises:
      UserError: any other line is not one of numbers.
    """
    if not path.exists():
        return []
    # Bytes, since a crash may cut a line anywhere: what has no line end is not a row.
    text = path.read_bytes().decode("utf-8", "replace")
    rows = list(csv.reader(text[: text.rfind("\n") + 1].splitlines()))[1:]
    for row in rows:
        if len(row) != len(METRICS) or not all(map(_is_number, row)):
            raise UserError(f"{path}: expected {len(METRICS)} numbers a line, found {row}")
    return rows


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def read_metrics(directory: Path) -> dict[str, np.ndarray]:
    """`metrics.csv` as columns of float64; a last line torn by a crash is left out.

    Raises:
      UserError: the file is damaged.
    """
    body = _metrics_body(directory / "metrics.csv")
    table = np.array(body, np.float64).reshape(len(body), len(METRICS))
    return dict(zip(METRICS, table.T, strict=True))


def truncate_metrics(directory: Path, *, before: int) -> None:
    """Drop rows of generation `before` and later, which a resumed run will write again."""
    path = directory / "metrics.csv"
    if not path.exists():
        return
    keep = [row for row in _metrics_body(path) if int(row[0]) < before]
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([METRICS, *keep])


def events_of(log: GenerationLog, *, count: int) -> Events:
    """The insertions of a segment's first `count` generations, as columns `(insertions,)`."""
    row, cell = np.nonzero(log.inserted[:count])
    fitness = np.asarray(log.fitness)[row, cell]
    return {
        "generation": np.asarray(log.generation, np.int32)[row],
        "class_index": cell.astype(np.int32),
        "id": np.asarray(log.id)[row, cell],
        "parent_id": np.asarray(log.parent_id)[row, cell],
        "parent_class": np.asarray(log.parent_class)[row, cell],
        "confidence": confidence_of(fitness),
        "fitness": fitness,
    }


def join_events(parts: Sequence[Events]) -> Events:
    """Put the events of several segments together, in order."""
    return {name: np.concatenate([part[name] for part in parts]) for name in LINEAGE}


def write_lineage(directory: Path, events: Events) -> None:
    """Write `lineage.npz`, whole or not at all."""
    with replacing(directory / "lineage.npz") as partial:
        np.savez_compressed(partial, **events)  # type: ignore[arg-type]


def read_lineage(directory: Path, *, before: int | None = None) -> Events | None:
    """The insertions so far, of generations below `before`; None where there is no file.

    Raises:
      UserError: the file is damaged.
    """
    path = directory / "lineage.npz"
    if not path.exists():
        return None
    arrays = read_npz(path)
    if set(LINEAGE) - set(arrays):
        raise UserError(f"{path}: expected arrays {', '.join(LINEAGE)}, found {sorted(arrays)}")
    keep = slice(None) if before is None else arrays["generation"] < before
    return {name: arrays[name][keep] for name in LINEAGE}


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an `.npz` file; never unpickles.

    Raises:
      UserError: missing or damaged.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # zipfile, zlib, tokenize and NumPy each raise their own
        raise UserError(f"{path}: expected a whole .npz file ({error})") from error


def write_archive(directory: Path, state: EvolutionState) -> None:
    """Write `archive.npz`: each leaf of the state under its path, such as `archive.fitness`."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    arrays = {_leaf_name(path): np.asarray(leaf) for path, leaf in leaves}
    with replacing(directory / "archive.npz") as partial:
        np.savez_compressed(partial, **arrays)  # type: ignore[arg-type]


def read_archive(directory: Path, template: EvolutionState) -> EvolutionState:
    """Read `archive.npz` back into a state with the structure of `template`.

    Counters that an older version did not keep are the template's.

    Raises:
      UserError: missing, damaged, or of other genomes or another number of classes.
    """
    path = directory / "archive.npz"
    if not path.exists():
        raise UserError(f"{path} is missing: a run writes it when it ends or is stopped by Ctrl-C")
    arrays = read_npz(path)

    def leaf(key: Any, like: Any) -> np.ndarray:
        name = _leaf_name(key)
        array = arrays.get(name)
        if array is None and not name.startswith("archive."):
            return np.asarray(like)  # a counter that an older version did not keep
        if array is None:
            raise UserError(f"{path}: no array {name!r}: its genomes are of another encoding")
        if array.shape != like.shape or array.dtype != like.dtype:
            raise UserError(
                f"{path}: {name} is {array.dtype}{array.shape}, expected {like.dtype}{like.shape}: "
                "another encoding, image size or number of classes"
            )
        return array

    return jax.tree_util.tree_map_with_path(leaf, template)


def _leaf_name(path: PyTree) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """What differs between two configurations, a phrase each."""
    names = [*wanted, *(name for name in stored if name not in wanted)]
    return [
        f"{name.replace('_', '-')} is {wanted.get(name)!r}, the run has {stored.get(name)!r}"
        for name in names
        if stored.get(name) != wanted.get(name)
    ]


def read_elites(directory: Path) -> list[dict[str, str]]:
    """Rows of `elites.csv`.

    Raises:
      UserError: there is none, or it is damaged.
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
        if any(row.get(name) is None for name in ELITES) or not _is_number(row["confidence"]):
            raise UserError(f"{path}: expected columns {', '.join(ELITES)}, found {row}")
    return rows


def open_elite(directory: Path, png: str) -> Image.Image:
    """A picture that `elites.csv` names, loaded.

    Raises:
      UserError: it is missing or damaged.
    """
    path = directory / png
    try:
        with Image.open(path) as image:
            image.load()
            return image.copy()
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path}: expected a picture ({error})") from error
