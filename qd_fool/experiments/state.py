"""The newest state of a run, from its checkpoints or its archive.npz."""

from pathlib import Path

import jax
from rich.console import Console

from qd_fool.checkpoints import open_checkpoints, restore_newest
from qd_fool.errors import UserError
from qd_fool.experiments.evolve_config import EvolvePlan
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
    if (run_dir / "checkpoints").is_dir():
        with open_checkpoints(run_dir / "checkpoints") as checkpoints:
            restored = restore_newest(checkpoints, blank)
        if restored is not None:
            state, meta, problems = restored
            for problem in problems:
                console.print(problem, highlight=False)
            return state, float(meta["seconds"])
    if (run_dir / "archive.npz").exists():
        return read_archive(run_dir, blank), None
    raise UserError(f"{run_dir} has neither a whole checkpoint nor an archive.npz yet")
