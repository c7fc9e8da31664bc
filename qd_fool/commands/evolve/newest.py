"""The newest state of a run, from its checkpoints or its archive.npz."""

import dataclasses

import jax
import numpy as np
from rich.console import Console

from qd_fool.archive import ClassArchive
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.map_elites.state import EvolutionState, init
from qd_fool.models.class_names import find_class
from qd_fool.models.network import Network
from qd_fool.runs.archive_npz import read_archive
from qd_fool.runs.checkpoints import Restored, open_checkpoints, restore_newest
from qd_fool.runs.genomes import GenomeLog, from_arrays
from qd_fool.runs.stored import StoredRun


@dataclasses.dataclass(frozen=True)
class Newest:
    """The newest state of a run.

    Attributes:
      state: State on the host.
      seconds: Run time until the checkpoint; None if the state comes from an archive.
      genomes: Genomes of elites and their ancestors; None if the checkpoint keeps none.
    """

    state: EvolutionState
    seconds: float | None = None
    genomes: GenomeLog | None = None


def newest_state(run: StoredRun, *, console: Console) -> Newest:
    """The state of the newest whole checkpoint, or of archive.npz if there is no checkpoint.

    The run may be of any kind. An ascent has no checkpoints.

    Raises:
      UserError: The run has neither, or they are damaged.
    """
    encoding = run.encoding()
    learns = bool(run.record.get("feedback"))
    blank = jax.device_get(init(encoding, run.classes, seed=0, feedback=learns))
    restored = None
    if (run.path / "checkpoints").is_dir():
        with open_checkpoints(run.path / "checkpoints") as checkpoints:
            restored = restore_newest(checkpoints, blank)
    if restored is not None:
        for problem in restored.problems:
            console.print(problem)
        genomes = genomes_of(restored, encoding, source=f"{run.path}: its checkpoint")
        return Newest(restored.state, float(restored.meta["seconds"]), genomes)
    if (run.path / "archive.npz").exists():
        return Newest(read_archive(run.path, blank))
    raise UserError(f"{run.path} has neither a whole checkpoint nor an archive.npz yet")


def genomes_of(restored: Restored, encoding: Encoding, *, source: str) -> GenomeLog | None:
    """The genomes that a checkpoint keeps; None if it keeps none.

    Raises:
      UserError: The genomes are not of this encoding.
    """
    if not restored.arrays:
        return None
    return from_arrays(restored.arrays, encoding, source=source)


def find_cell(scorer: Network, archive: ClassArchive, text: str) -> int:
    """The cell of the class that a text names, which must hold an elite.

    Raises:
      UserError: The text names no class or several, or the cell is empty.
    """
    names = scorer.class_names
    cell = find_class(text, names, wnids=scorer.wnids)
    if not np.asarray(archive.occupied)[cell]:
        raise UserError(f"--class {cell} ({names[cell]}) has no elite in this run")
    return cell
