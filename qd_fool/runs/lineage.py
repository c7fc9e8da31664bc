"""`lineage.npz`: every insertion of a run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qd_fool.errors import UserError
from qd_fool.files import read_npz, write_npz
from qd_fool.map_elites.state import GenerationLog
from qd_fool.scoring.confidence import confidence_of

LINEAGE = ("generation", "class_index", "id", "parent_id", "parent_class", "confidence", "fitness")


Events = dict[str, np.ndarray]


def events_of(log: GenerationLog, *, count: int) -> Events:
    """Return the insertions of a segment's first `count` generations as columns."""
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
    write_npz(directory / "lineage.npz", events)


def read_lineage(directory: Path, *, before: int | None = None) -> Events | None:
    """Read the insertions so far; None if there is no file.

    Args:
      directory: Directory of the run.
      before: Generation from which on insertions are left out; by default none are.

    Raises:
      UserError: The file is damaged.
    """
    path = directory / "lineage.npz"
    if not path.exists():
        return None
    arrays = read_npz(path)
    if set(LINEAGE) - set(arrays):
        raise UserError(f"{path}: expected arrays {', '.join(LINEAGE)}, found {sorted(arrays)}")
    count = arrays["generation"].size
    for name in LINEAGE:
        array, kinds = arrays[name], "fiu" if name in ("confidence", "fitness") else "iu"
        if array.shape != (count,) or array.dtype.kind not in kinds:
            words = "numbers" if "f" in kinds else "whole numbers"
            raise UserError(
                f"{path}: {name} is {array.dtype}{array.shape}, expected {words} ({count},)"
            )
    keep = slice(None) if before is None else arrays["generation"] < before
    return {name: arrays[name][keep] for name in LINEAGE}
