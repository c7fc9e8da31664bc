"""The newest state of a run, from its checkpoints or its archive.npz."""

from pathlib import Path

import jax
from rich.console import Console

from qd_fool.checkpoints import Restored, open_checkpoints, restore_newest
from qd_fool.errors import UserError
from qd_fool.experiments.evolve_config import EvolvePlan
from qd_fool.genome_log import GenomeLog, from_arrays
from qd_fool.map_elites import EvolutionState, init
from qd_fool.runs import read_archive


def newest_state(
    run_dir: Path, planned: EvolvePlan, *, console: Console
) -> tuple[EvolutionState, float | None]:
    """The state of the newest whole checkpoint; of archive.npz where there is no checkpoint.

    Returns:
      The state, on the host, and the seconds that a checkpoint says it took; None from an archive.

    Raises:
      UserError: there is neither, or they are damaged.
    """
    blank = jax.device_get(init(planned.encoding, len(planned.scorer.class_names), seed=0))
    restored = _newest_checkpoint(run_dir, blank)
    if restored is not None:
        for problem in restored.problems:
            console.print(problem, highlight=False)
        return restored.state, float(restored.meta["seconds"])
    if (run_dir / "archive.npz").exists():
        return read_archive(run_dir, blank), None
    raise UserError(f"{run_dir} has neither a whole checkpoint nor an archive.npz yet")


def newest_genomes(run_dir: Path, planned: EvolvePlan, state: EvolutionState) -> GenomeLog | None:
    """The genomes that the newest whole checkpoint keeps; None where it keeps none.

    Args:
      run_dir: of the run.
      planned: as it was run.
      state: that of the checkpoint, or of the same structure.

    Raises:
      UserError: they are those of another encoding.
    """
    restored = _newest_checkpoint(run_dir, state)
    if restored is None or not restored.arrays:
        return None
    return from_arrays(restored.arrays, planned.encoding, source=f"{run_dir}: its checkpoint")


def _newest_checkpoint(run_dir: Path, template: EvolutionState) -> Restored | None:
    if not (run_dir / "checkpoints").is_dir():
        return None
    with open_checkpoints(run_dir / "checkpoints") as checkpoints:
        return restore_newest(checkpoints, template)
