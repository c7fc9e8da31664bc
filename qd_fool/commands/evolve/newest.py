"""The newest state of a run, from its checkpoints or its archive.npz."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
from rich.console import Console

from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.errors import UserError
from qd_fool.map_elites.state import EvolutionState, init
from qd_fool.models.class_names import find_class
from qd_fool.runs.archive_npz import read_archive
from qd_fool.runs.checkpoints import open_checkpoints, restore_newest
from qd_fool.runs.genomes import GenomeLog, from_arrays


@dataclasses.dataclass(frozen=True)
class Newest:
    """Where a run stands.

    Attributes:
      state: on the host.
      seconds: that a checkpoint says it took; None from an archive.
      genomes: of elites and their ancestors; None where the checkpoint keeps none.
    """

    state: EvolutionState
    seconds: float | None = None
    genomes: GenomeLog | None = None


def newest_state(run_dir: Path, planned: EvolvePlan, *, console: Console) -> Newest:
    """That of the newest whole checkpoint; of archive.npz where there is no checkpoint.

    Raises:
      UserError: there is neither, or they are damaged.
    """
    blank = jax.device_get(init(planned.encoding, len(planned.scorer.class_names), seed=0))
    restored = None
    if (run_dir / "checkpoints").is_dir():
        with open_checkpoints(run_dir / "checkpoints") as checkpoints:
            restored = restore_newest(checkpoints, blank)
    if restored is not None:
        for problem in restored.problems:
            console.print(problem)
        genomes = None
        if restored.arrays:
            source = f"{run_dir}: its checkpoint"
            genomes = from_arrays(restored.arrays, planned.encoding, source=source)
        return Newest(restored.state, float(restored.meta["seconds"]), genomes)
    if (run_dir / "archive.npz").exists():
        return Newest(read_archive(run_dir, blank))
    raise UserError(f"{run_dir} has neither a whole checkpoint nor an archive.npz yet")


def find_cell(planned: EvolvePlan, state: EvolutionState, text: str) -> int:
    """The cell of the class that a text names (`models.class_names`), which holds an elite.

    Raises:
      UserError: there is no such class, or several, or its cell is empty.
    """
    names = planned.scorer.class_names
    cell = find_class(text, names, wnids=planned.scorer.wnids)
    if not np.asarray(state.archive.occupied)[cell]:
        raise UserError(f"--class {cell} ({names[cell]}) has no elite in this run")
    return cell
