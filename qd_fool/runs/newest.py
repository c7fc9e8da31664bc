"""The newest state of a run, from its checkpoints or its `archive.npz`. Reading changes nothing.

A run that is running writes checkpoints, and `archive.npz` only when it ends. Readers take no lock
and need no right to write, so they may look at a run while it goes on.
"""

import dataclasses
import re
import zipfile
from pathlib import Path

import jax
import numpy as np

from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.map_elites.state import EvolutionState, init
from qd_fool.runs.archive_npz import read_archive
from qd_fool.runs.genomes import GenomeLog, from_arrays
from qd_fool.runs.stored import StoredRun

LOOKS = 3
"""Times that the checkpoints are listed: a running run may delete those that are being read."""


@dataclasses.dataclass(frozen=True)
class Newest:
    """The newest state of a run.

    Attributes:
      state: State on the host.
      seconds: Run time until the checkpoint; None if the state comes from an archive.
      genomes: Genomes of elites and their ancestors; None if the checkpoint keeps none.
      problems: One sentence per newer checkpoint that is damaged.
    """

    state: EvolutionState
    seconds: float | None = None
    genomes: GenomeLog | None = None
    problems: tuple[str, ...] = ()

    @property
    def generation(self) -> int:
        """Last generation that the state has run."""
        return int(self.state.generation) - 1


def saved_generations(run_dir: Path) -> list[int]:
    """Return the generations that have a checkpoint, ascending. They may be damaged."""
    names = (path.name for path in (run_dir / "checkpoints").glob("generation_*"))
    return sorted(int(match[1]) for name in names if (match := re.fullmatch(r"\w+_(\d+)", name)))


def archive_is_behind(run_dir: Path) -> bool:
    """Return whether a checkpoint is newer than `archive.npz`, or `archive.npz` is missing.

    This holds for a run that is running, and for one that was killed.
    """
    saved = saved_generations(run_dir)
    if not saved:
        return False
    path = run_dir / "archive.npz"
    if not path.exists():
        return True
    try:
        with np.load(path, allow_pickle=False) as file:
            done = int(file["generation"]) if "generation" in file.files else None
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile):
        return False  # a reader of the archive reports the damage
    return done is not None and done <= saved[-1]


def blank_state(run: StoredRun) -> EvolutionState:
    """Return a run's state before generation 0, on the host: its arrays' shapes and types."""
    learns = bool(run.record.get("feedback"))
    return jax.device_get(init(run.encoding(), run.classes, seed=0, feedback=learns))


def newest_state(run: StoredRun) -> Newest:
    """Return the state of the newest whole checkpoint, or of `archive.npz` without a checkpoint.

    The run may be of any kind, and may be running. An ascent has no checkpoints.

    Raises:
      UserError: The run has neither, or they are damaged.
    """
    if saved_generations(run.path):
        found = _from_checkpoints(run)
        if found is not None:
            return found
    if (run.path / "archive.npz").exists():
        return Newest(read_archive(run.path, blank_state(run)))
    raise UserError(f"{run.path} has neither a whole checkpoint nor an archive.npz yet")


def _from_checkpoints(run: StoredRun) -> Newest | None:
    # Orbax takes a second to import, and most readers do not need it.
    from qd_fool.runs.checkpoints import open_checkpoints, restore_newest

    encoding, blank = run.encoding(), blank_state(run)
    for _ in range(LOOKS):
        with open_checkpoints(run.path / "checkpoints", read_only=True) as checkpoints:
            restored = restore_newest(checkpoints, blank)
        if restored is not None:
            source = f"{run.path}: its checkpoint"
            return Newest(
                restored.state,
                float(restored.meta["seconds"]),
                genomes_in(restored.arrays, encoding, source=source),
                tuple(restored.problems),
            )
    return None


def genomes_in(
    arrays: dict[str, np.ndarray], encoding: Encoding, *, source: str
) -> GenomeLog | None:
    """Return the genomes that a checkpoint keeps; None if it keeps none.

    Args:
      arrays: Arrays that were saved with the state.
      encoding: Encoding of the genomes.
      source: Name of the checkpoint, for errors.

    Raises:
      UserError: The genomes are not of this encoding.
    """
    return from_arrays(arrays, encoding, source=source) if arrays else None
