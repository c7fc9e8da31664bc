"""Genomes of the individuals that won a cell, by id; NumPy only.

`lineage.npz` holds the ancestry of individuals, and `genomes.npz` beside it holds their genomes. By
default it keeps the living elites and their ancestors, and drops the lines that died out.
"""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int, PyTree

from qd_fool.choices import KeepGenomes
from qd_fool.encodings import Encoding
from qd_fool.encodings.base import genome_bytes, genome_shapes
from qd_fool.errors import UserError
from qd_fool.files import read_npz, write_npz
from qd_fool.map_elites.state import GenerationLog

SMALL_GENOME = 16_384
"""Largest genome, in bytes, whose ancestors are kept by default."""

FILE = "genomes.npz"


@dataclasses.dataclass(frozen=True)
class GenomeLog:
    """Individuals that won a cell, each once.

    Attributes:
      id: `(n,)` ids, ascending.
      parent_id: `(n,)` ids of the parents; -1 for random individuals, and lower numbers for elites
        of another run.
      genomes: `(n, ...)` genomes in the encoding's structure.
    """

    id: Int[np.ndarray, " n"]
    parent_id: Int[np.ndarray, " n"]
    genomes: PyTree[np.ndarray]


def what_to_keep(wanted: KeepGenomes, encoding: Encoding) -> KeepGenomes:
    """Return which genomes to keep: `auto` means ancestors if a genome is small, else none."""
    if wanted != "auto":
        return wanted
    return "ancestors" if genome_bytes(encoding) <= SMALL_GENOME else "none"


def empty_log(encoding: Encoding) -> GenomeLog:
    """Return a log without individuals."""
    none = np.zeros(0, np.int64)
    shapes = genome_shapes(encoding)
    genomes = jax.tree.map(lambda s: np.zeros((0, *s.shape[1:]), s.dtype), shapes)
    return GenomeLog(none, none, genomes)


def winners_of(log: GenerationLog, *, count: int) -> GenomeLog:
    """Return the individuals that won a cell in a segment's first `count` generations.

    Args:
      log: Log of a segment that logs genomes, on the host, arrays `(length, ...)`.
      count: Number of generations that ran.
    """
    offspring = log.offspring
    if offspring is None:
        raise ValueError("this segment logs no offspring")
    winners = np.asarray(log.id)[:count][np.asarray(log.inserted)[:count]]
    # Find the winners among the offspring. Individuals that only fill a device's share up have id
    # -1, and an offspring may occur twice.
    ids, first = np.unique(np.asarray(offspring.id)[:count], return_index=True)
    won = np.isin(ids, winners) & (ids >= 0)
    rows = first[won]

    def pick(leaf: Any) -> np.ndarray:
        flat = np.asarray(leaf)[:count]
        return flat.reshape(-1, *flat.shape[2:])[rows]

    return GenomeLog(
        id=ids[won].astype(np.int64),
        parent_id=pick(offspring.parent_id).astype(np.int64),
        genomes=jax.tree.map(pick, offspring.genomes),
    )


def extend(log: GenomeLog, later: GenomeLog) -> GenomeLog:
    """Append individuals that were born later than all individuals of a log."""
    return GenomeLog(
        id=np.concatenate([log.id, later.id]),
        parent_id=np.concatenate([log.parent_id, later.parent_id]),
        genomes=jax.tree.map(lambda a, b: np.concatenate([a, b]), log.genomes, later.genomes),
    )


def prune(log: GenomeLog, living: Int[np.ndarray, " cells"]) -> GenomeLog:
    """Keep the living elites and their ancestors.

    Args:
      log: Individuals to choose from.
      living: Ids of the archive's elites. Ids that are not in the log are ignored.
    """
    # Follow the parents, one generation of ancestors after another.
    kept = np.isin(log.id, living)
    parent = rows_of_ids(log, log.parent_id)
    front = np.flatnonzero(kept)
    while len(front):
        found = np.unique(parent[front])
        front = found[(found >= 0)]
        front = front[~kept[front]]
        kept[front] = True
    return GenomeLog(
        log.id[kept], log.parent_id[kept], jax.tree.map(lambda leaf: leaf[kept], log.genomes)
    )


def rows_of_ids(log: GenomeLog, ids: Int[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
    """Return the rows of individuals in a log; -1 for ids that are not in the log."""
    if not len(log.id):
        return np.full(len(ids), -1, np.int64)
    place = np.minimum(np.searchsorted(log.id, ids), len(log.id) - 1)
    return np.where(log.id[place] == ids, place, -1)


def to_arrays(log: GenomeLog) -> dict[str, np.ndarray]:
    """Return a log as named arrays: `id`, `parent_id`, and `genomes.<leaf>` for each leaf."""
    leaves = jax.tree_util.tree_flatten_with_path({"genomes": log.genomes})[0]
    return {"id": log.id, "parent_id": log.parent_id} | {_name(p): leaf for p, leaf in leaves}


def from_arrays(arrays: dict[str, np.ndarray], encoding: Encoding, *, source: str) -> GenomeLog:
    """Return the log that named arrays hold.

    Args:
      arrays: Arrays from `to_arrays`.
      encoding: Encoding of the genomes.
      source: Name of the file, for errors.

    Raises:
      UserError: Arrays are missing, or hold other genomes.
    """
    try:
        ids, parents = arrays["id"], arrays["parent_id"]
    except KeyError as error:
        raise UserError(f"{source}: expected an array {error}, found {sorted(arrays)}") from error
    if ids.ndim != 1 or ids.dtype.kind != "i" or (np.diff(ids) <= 0).any():
        raise UserError(f"{source}: expected id to be ascending whole numbers")

    def leaf(path: Any, like: Any) -> np.ndarray:
        array, shape = arrays.get(_name(path)), (len(ids), *like.shape[1:])
        if array is None or array.shape != shape or array.dtype != like.dtype:
            found = "nothing" if array is None else f"{array.dtype}{array.shape}"
            raise UserError(
                f"{source}: {_name(path)} is {found}, expected {like.dtype}{shape}: genomes of "
                "another encoding or picture size"
            )
        return array

    if parents.shape != ids.shape or parents.dtype.kind != "i":
        raise UserError(f"{source}: expected as many whole numbers in parent_id as in id")
    like = {"genomes": genome_shapes(encoding)}
    genomes = jax.tree_util.tree_map_with_path(leaf, like)["genomes"]
    return GenomeLog(ids.astype(np.int64), parents.astype(np.int64), genomes)


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def write_genome_log(directory: Path, log: GenomeLog) -> None:
    """Write `genomes.npz`, whole or not at all."""
    write_npz(directory / FILE, to_arrays(log))


def read_genome_log(directory: Path, encoding: Encoding) -> GenomeLog | None:
    """Read the genomes that a run has kept; None if it kept none.

    Args:
      directory: Directory of the run.
      encoding: Encoding of the genomes.

    Raises:
      UserError: The file is damaged, or holds genomes of another encoding.
    """
    path = directory / FILE
    if not path.exists():
        return None
    return from_arrays(read_npz(path), encoding, source=str(path))
