"""The start of a run: random, from another run's elites, or from its newest checkpoint."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import Float
from rich.console import Console

from qd_fool.archive import ClassArchive
from qd_fool.commands.common.subject import Subject
from qd_fool.commands.evolve.loop import History
from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.errors import UserError
from qd_fool.files import read_npz
from qd_fool.map_elites.division import plan_tuning
from qd_fool.map_elites.state import EvolutionState, init
from qd_fool.runs.archive_npz import read_archive
from qd_fool.runs.checkpoints import Restored, digest, restore_newest
from qd_fool.runs.genomes import empty_log
from qd_fool.runs.lineage import read_lineage
from qd_fool.runs.metrics import truncate_metrics
from qd_fool.runs.newest import archive_is_behind, genomes_in, newest_state
from qd_fool.runs.pictures import distinct_pictures, picture_function
from qd_fool.runs.stored import StoredRun, open_run


@dataclasses.dataclass(frozen=True, eq=False)
class Start:
    """The start of an evolution.

    Attributes:
      state: State on the host.
      history: Logs of the evolution until this state.
      donor: Digest of the archive of `--init-from`, if the evolution began with one.
    """

    state: EvolutionState
    history: History
    donor: str | None


def new_start(planned: EvolvePlan) -> Start:
    """Start a new run: from an empty archive, or from another run's elites, scored again.

    Raises:
      UserError: The other run can't be read, or its genomes would make other pictures here.
    """
    history = History(0.0, events=[], genomes=empty_log(planned.subject.encoding))
    if planned.config.init_from is None:
        return Start(blank_state(planned), history, donor=None)
    state, donor = _donated_state(planned, planned.config.init_from)
    return Start(state, history, donor)


def resumed_start(
    run_dir: Path,
    checkpoints: ocp.CheckpointManager,
    planned: EvolvePlan,
    *,
    stored: dict[str, Any],
    console: Console,
) -> Start:
    """Continue a run from its newest whole checkpoint, or from its beginning if it has none yet.

    Args:
      run_dir: Directory of the run; its metrics are cut back to the start.
      checkpoints: Checkpoints of the run; damaged ones are deleted.
      planned: Plan of the run.
      stored: Contents of its `run.json`.
      console: Console for messages.

    Raises:
      UserError: The run can't continue. Nothing has been changed then.
    """
    donor = stored.get("init_from_digest")
    restored = restore_newest(checkpoints, blank_state(planned))
    if restored is None and not checkpoints.all_steps():
        restored = _restored_archive(run_dir, planned, stored)

    # No checkpoint: start over, unless there are damaged ones.
    if restored is None:
        if checkpoints.all_steps():
            raise UserError(f"cannot resume {run_dir}: each of its checkpoints is damaged")
        console.print(f"no checkpoint in {run_dir} yet: starting over")
        start = new_start(planned)
        if start.donor != donor:
            raise UserError(
                f"cannot resume {run_dir}: the archive of {planned.config.init_from}, its start, "
                "has changed"
            )
        truncate_metrics(run_dir, before=0)
        return start

    # Check everything that could prevent the run from continuing.
    generation = int(restored.state.generation)
    if generation > planned.generations + 1:
        raise UserError(
            f"--generations is {planned.generations}: the run in {run_dir} has done "
            f"{generation - 1} already"
        )
    events = read_lineage(run_dir, before=generation)
    if events is None:
        raise UserError(f"cannot resume {run_dir}: its lineage.npz is missing")

    # Cut the logs back to the checkpoint, and drop newer entries.
    truncate_metrics(run_dir, before=generation)
    for problem in restored.problems:
        console.print(f"{problem}; falling back to the one before")
    for step in checkpoints.all_steps():
        if step >= generation:
            checkpoints.delete(step)  # it is damaged, and a new checkpoint needs its place
    console.print(f"resuming after generation {generation - 1}")
    encoding = planned.subject.encoding
    genomes = genomes_in(restored.arrays, encoding, source=f"{run_dir}: its checkpoint")
    if genomes is None:
        genomes = empty_log(encoding)
    history = History(float(restored.meta["seconds"]), events=[events], genomes=genomes)
    return Start(_with_tuning(restored.state, planned), history, donor)


def _restored_archive(
    run_dir: Path, planned: EvolvePlan, stored: dict[str, Any]
) -> Restored | None:
    """The state at the end of a run whose checkpoints were left out, as in reference archives."""
    if not (run_dir / "archive.npz").exists():
        return None
    state = read_archive(run_dir, blank_state(planned))
    path = run_dir / "genomes.npz"
    arrays = read_npz(path) if path.exists() else {}
    return Restored(state, {"seconds": stored.get("seconds", 0.0)}, arrays, [])


def blank_state(planned: EvolvePlan) -> EvolutionState:
    """The state before generation 0, with an empty archive; on the host."""
    cells = len(planned.subject.scorer.class_names)
    search = planned.map_elites
    state = init(
        planned.subject.encoding, cells, seed=planned.config.seed, feedback=search.feedback
    )
    return _with_tuning(state, planned)


def _with_tuning(state: EvolutionState, planned: EvolvePlan) -> EvolutionState:
    """The state on the host, in which tuning begins as planned."""
    config, generations = planned.map_elites, planned.generations
    return jax.device_get(plan_tuning(state, config=config, generations=generations))


def _donor_archive(donor: StoredRun, like: EvolutionState) -> ClassArchive:
    """The newest archive of a run that may be running, if its arrays are as in `like`."""
    if not archive_is_behind(donor.path):
        return read_archive(donor.path, like).archive
    archive = newest_state(donor).state.archive
    shapes, wanted = (
        [(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(a)] for a in (archive, like.archive)
    )
    if shapes != wanted:
        raise UserError(
            f"--init-from {donor.path}: its image size or its number of classes is another"
        )
    return archive


def _donated_state(planned: EvolvePlan, source: Path) -> tuple[EvolutionState, str]:
    """The state before generation 0, with the elites of another run, scored again.

    Returns:
      The state, and a digest of the other run's archive.
    """
    subject, state = planned.subject, blank_state(planned)

    # The genomes must make the same pictures in this run.
    donor_run = open_run(source)
    name, found = subject.encoding.name, donor_run.record["config"].get("encoding")
    if found != name:
        raise UserError(f"--init-from {source}: its encoding is {found}, expected {name}")
    settings = donor_run.record.get("encoding_settings") or {}
    for setting in subject.encoding.meaning:
        wanted = getattr(subject.encoding.settings, setting)
        if settings.get(setting, wanted) != wanted:
            words = setting.replace("_", "-")
            raise UserError(
                f"--init-from {source}: its {words} is {settings[setting]!r}, this run's "
                f"{wanted!r}: its genomes would mean something else"
            )

    # Each elite keeps its cell, with the fitness that this run's network gives it there.
    donor = _donor_archive(donor_run, state)
    fitness = _fitness_here(donor, subject)
    held = np.isfinite(fitness)

    # Each elite begins a lineage, because ids of another run mean nothing here. An id of
    # -2 - cell names the first cell that the picture holds.
    donor_id = np.asarray(donor.id)
    _, first, same = np.unique(donor_id, return_index=True, return_inverse=True)
    first_cell = first[same]
    none = jnp.full(len(fitness), -1, jnp.int32)
    archive = dataclasses.replace(
        donor,
        fitness=jnp.where(held, fitness, -jnp.inf),
        id=jnp.where(held, -2 - first_cell, -1).astype(jnp.int32),
        parent_id=none,
        parent_class=none,
        born=none,
    )
    return dataclasses.replace(state, archive=archive), digest(donor)


def _fitness_here(donor: ClassArchive, subject: Subject) -> Float[np.ndarray, " cells"]:
    """The fitness that a network gives to the elites of another run; -inf in empty cells."""
    cells, genomes = np.flatnonzero(np.asarray(donor.occupied)), jax.device_get(donor.genomes)
    draw = picture_function(subject.encoding, chunk=subject.chunk)
    fitness = np.full(len(np.asarray(donor.fitness)), -np.inf, np.float32)
    for groups, images in distinct_pictures(genomes, cells, draw=draw):
        scores = subject.score(subject.scorer.params, images)
        for row, members in zip(scores, groups, strict=True):
            fitness[members] = row[members]
    return fitness
