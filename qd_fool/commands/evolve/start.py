"""Where a run starts: from nothing, from another run's elites, or from its newest checkpoint."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console

from qd_fool.commands.evolve.loop import Carried
from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.errors import UserError
from qd_fool.map_elites.state import EvolutionState, init
from qd_fool.runs.archive_npz import read_archive
from qd_fool.runs.checkpoints import digest, restore_newest
from qd_fool.runs.directory import read_run
from qd_fool.runs.genomes import (
    empty_log,
    from_arrays,
)
from qd_fool.runs.lineage import read_lineage
from qd_fool.runs.metrics import truncate_metrics
from qd_fool.runs.pictures import render_elites


def blank_state(planned: EvolvePlan) -> EvolutionState:
    """Generation 0 to come, from nothing; on the host."""
    cells = len(planned.scorer.class_names)
    return jax.device_get(init(planned.encoding, cells, seed=planned.config.seed))


def first_state(planned: EvolvePlan) -> tuple[EvolutionState, str | None]:
    """Generation 0 to come: from nothing, or from the elites of another run, scored anew.

    Returns:
      The state, and a digest of the other run's archive.
    """
    state, source = blank_state(planned), planned.config.init_from
    if source is None:
        return state, None
    name, found = planned.encoding.name, read_run(source)["config"].get("encoding")
    if found != name:
        raise UserError(f"--init-from {source}: its encoding is {found}, expected {name}")
    theirs = read_run(source).get("encoding_settings") or {}
    for setting in planned.encoding.meaning:
        wanted = getattr(planned.encoding.settings, setting)
        if theirs.get(setting, wanted) != wanted:
            words = setting.replace("_", "-")
            raise UserError(
                f"--init-from {source}: its {words} is {theirs[setting]!r}, this run's {wanted!r}: "
                "its genomes would mean something else"
            )
    donor = read_archive(source, state).archive
    images = render_elites(donor, planned.encoding, chunk=planned.map_elites.chunk)
    scores = planned.score(planned.scorer.params, images)
    cells = np.arange(len(scores))
    own = scores[cells, cells]
    held = np.asarray(donor.occupied) & np.isfinite(own)
    # An elite keeps its cell, and starts a line of its own: ids of another run mean nothing here.
    donor_id = np.asarray(donor.id)
    first_cell = np.argmax(donor_id[None, :] == donor_id[:, None], axis=1)
    none = jnp.full(len(cells), -1, jnp.int32)
    archive = dataclasses.replace(
        donor,
        fitness=jnp.where(held, own, -jnp.inf),
        id=jnp.where(held, -2 - first_cell, -1).astype(jnp.int32),
        parent_id=none,
        parent_class=none,
        born=none,
    )
    return dataclasses.replace(state, archive=archive), digest(donor)


def restore(
    run_dir: Path, checkpoints: Any, planned: EvolvePlan, console: Console
) -> tuple[EvolutionState, Carried] | None:
    """The newest whole checkpoint, with the log cut back to it; None where there is none yet.

    Raises:
      UserError: the run can't go on; before anything is changed.
    """
    restored = restore_newest(checkpoints, blank_state(planned))
    if restored is None and checkpoints.all_steps():
        raise UserError(f"cannot resume {run_dir}: each of its checkpoints is damaged")
    if restored is None:
        console.print(f"no checkpoint in {run_dir} yet: starting over")
        return None
    generation = int(restored.state.generation)
    if generation > planned.generations + 1:
        raise UserError(
            f"--generations is {planned.generations}: the run in {run_dir} has done "
            f"{generation - 1} already"
        )
    events = read_lineage(run_dir, before=generation)
    if events is None:
        raise UserError(f"cannot resume {run_dir}: its lineage.npz is missing")
    truncate_metrics(run_dir, before=generation)
    for problem in restored.problems:
        console.print(f"{problem}; falling back to the one before")
    for step in checkpoints.all_steps():
        if step >= generation:
            checkpoints.delete(step)  # damaged: it would stand in the way of its successor
    console.print(f"resuming after generation {generation - 1}")
    genomes = empty_log(planned.encoding)
    if restored.arrays:
        source = f"{run_dir}: its checkpoint"
        genomes = from_arrays(restored.arrays, planned.encoding, source=source)
    return restored.state, Carried(float(restored.meta["seconds"]), 0.0, [events], genomes)
