"""`qd-fool evolve`: MAP-Elites with a run directory, progress, checkpoints and resume."""

import dataclasses
import functools
import math
import shlex
import time
from operator import itemgetter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from rich.console import Console

from qd_fool.checkpoints import digest, open_checkpoints, restore_newest, save_checkpoint
from qd_fool.elites import render_elites
from qd_fool.errors import UserError
from qd_fool.experiments.evolve_config import (
    EvolveConfig,
    EvolvePlan,
    check_resumable,
    new_run_dir,
    plan,
)
from qd_fool.experiments.evolve_words import most_confident, share_of_the_original
from qd_fool.experiments.progress import EvolveProgress, evolve_progress
from qd_fool.experiments.results import make_run_dir, names_in, run_record, sole_user, write_results
from qd_fool.experiments.sanity import show_sanity
from qd_fool.experiments.signals import stop_on_signal
from qd_fool.files import write_json
from qd_fool.genome_log import (
    GenomeLog,
    empty_log,
    extend,
    from_arrays,
    genome_bytes,
    prune,
    to_arrays,
    winners_of,
    write_genome_log,
)
from qd_fool.map_elites import EvolutionState, GenerationLog, init
from qd_fool.mesh import make_mesh, replicate
from qd_fool.runs import (
    Events,
    append_metrics,
    events_of,
    join_events,
    metric_rows,
    read_archive,
    read_lineage,
    read_run,
    truncate_metrics,
    write_lineage,
)
from qd_fool.segments import make_segment, raise_if_bad

SEGMENT_LENGTH = 64
SEGMENT_SECONDS = 1.0
SEGMENT_BYTES = 2**27
"""Of the genomes that a segment may log."""
CHECKPOINT_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class EvolveResult:
    """What a call of `evolve_run` came to.

    Attributes:
      run_dir: where everything is.
      state: on the host.
      interrupted: whether Ctrl-C (or SIGTERM) ended it early.
      rescore_difference: largest difference between an elite's confidence and that of its PNG.
    """

    run_dir: Path
    state: EvolutionState
    interrupted: bool
    rescore_difference: float


@dataclasses.dataclass
class _Progress:
    """What the loop carries beside the state of evolution."""

    seconds: float
    compile_seconds: float
    events: list[Events]
    genomes: GenomeLog


def evolve_run(config: EvolveConfig, *, console: Console) -> EvolveResult:
    """Start a run, or go on with one, until its generations are done or Ctrl-C.

    Raises:
      UserError: bad settings, a directory in use, NaN scores. Nothing is overwritten.
    """
    run_dir = new_run_dir(config)
    resuming = _is_resumable(run_dir, resume=config.resume, console=console)
    planned = plan(config)
    stored = check_resumable(run_dir, planned) if resuming else None
    kind = (stored or {}).get("kind", "evolution")
    if kind != "evolution":
        raise UserError(
            f"cannot resume {run_dir}: its kind is {kind}, expected evolution; --init-from takes "
            "its pictures over into a new run"
        )
    mesh = make_mesh(planned.config.devices)
    _say_what(planned, mesh, run_dir, console)
    # Whatever these raise about bad input, they raise before the directory is touched.
    length = _segment_length(planned)
    segment = make_segment(
        planned.scorer,
        planned.encoding,
        planned.map_elites,
        mesh=mesh,
        length=length,
        log_offspring=planned.keep_genomes != "none",
    )
    state, donor = (None, None) if stored else _first_state(planned)
    show_sanity(planned, console)
    make_run_dir(run_dir)
    with sole_user(run_dir), open_checkpoints(run_dir / "checkpoints") as checkpoints:
        carried = _Progress(0.0, 0.0, events=[], genomes=empty_log(planned.encoding))
        restored = _restore(run_dir, checkpoints, planned, console) if stored else None
        if restored:
            state, carried = restored
        if state is None:
            state, donor = _first_state(planned)
            if donor != (stored or {}).get("init_from_digest"):
                raise UserError(
                    f"cannot resume {run_dir}: the archive of {planned.config.init_from}, which it "
                    "is to start from, is not what it was"
                )
            truncate_metrics(run_dir, before=0)
        record = run_record(planned, mesh) | {"init_from_digest": donor}
        if stored:
            record["init_from_digest"] = stored.get("init_from_digest")
        write_json(run_dir / "run.json", record)
        total = planned.generations + 1
        state = replicate(state, mesh)
        params = replicate(planned.scorer.params, mesh)
        started = time.perf_counter()
        compiled = segment.lower(state, params, np.int32(1)).compile()  # type: ignore[attr-defined]
        carried.compile_seconds = time.perf_counter() - started
        console.print(f"compiled in {carried.compile_seconds:.1f} s", highlight=False)
        with (
            stop_on_signal() as stop,
            evolve_progress(console, total=total, done=int(state.generation)) as progress,
        ):
            state = _loop(
                planned,
                compiled,
                state,
                params,
                carried,
                checkpoints,
                run_dir,
                stop,
                progress,
                length=length,
            )
        return _finish(planned, run_dir, state, carried, stop, console)


def _segment_length(planned: EvolvePlan) -> int:
    """Generations a call at most: as many as the log has room for, if it holds genomes."""
    if planned.keep_genomes == "none":
        return SEGMENT_LENGTH
    generation = planned.map_elites.batch_size * genome_bytes(planned.encoding)
    return max(1, min(SEGMENT_LENGTH, SEGMENT_BYTES // generation))


def _is_resumable(run_dir: Path, *, resume: bool, console: Console) -> bool:
    """Whether there is a run to go on with; refuses what would overwrite something."""
    names = names_in(run_dir)
    # What a run that was killed before its first write leaves behind is as good as nothing.
    nothing = {".lock", "checkpoints", ".run.partial.json"}
    if names <= nothing and not any(run_dir.glob("checkpoints/generation_*")):
        if resume:
            console.print(f"nothing to resume in {run_dir}: starting a new run", highlight=False)
        return False
    if resume:
        return True
    raise UserError(
        f"--run-dir {run_dir} exists and is not empty: pass --resume to go on with the run in it, "
        "or choose another"
    )


def _say_what(planned: EvolvePlan, mesh: Mesh, run_dir: Path, console: Console) -> None:
    device = mesh.devices.flat[0]
    console.print(
        f"fooling {planned.scorer.name} ({planned.scorer.weights}) with the "
        f"{planned.encoding.name} encoding on {mesh.devices.size} x {device.device_kind} "
        f"({device.platform}), into {run_dir}",
        highlight=False,
        soft_wrap=True,
    )


def _blank_state(planned: EvolvePlan) -> EvolutionState:
    """Generation 0 to come, from nothing; on the host."""
    cells = len(planned.scorer.class_names)
    return jax.device_get(init(planned.encoding, cells, seed=planned.config.seed))


def _first_state(planned: EvolvePlan) -> tuple[EvolutionState, str | None]:
    """Generation 0 to come: from nothing, or from the elites of another run, scored anew.

    Returns:
      The state, and a digest of the other run's archive.
    """
    state, source = _blank_state(planned), planned.config.init_from
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


def _restore(
    run_dir: Path, checkpoints: Any, planned: EvolvePlan, console: Console
) -> tuple[EvolutionState, _Progress] | None:
    """The newest whole checkpoint, with the log cut back to it; None where there is none yet.

    Raises:
      UserError: the run can't go on; before anything is changed.
    """
    restored = restore_newest(checkpoints, _blank_state(planned))
    if restored is None and checkpoints.all_steps():
        raise UserError(f"cannot resume {run_dir}: each of its checkpoints is damaged")
    if restored is None:
        console.print(f"no checkpoint in {run_dir} yet: starting over", highlight=False)
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
        console.print(f"{problem}; falling back to the one before", highlight=False)
    for step in checkpoints.all_steps():
        if step >= generation:
            checkpoints.delete(step)  # damaged: it would stand in the way of its successor
    console.print(f"resuming after generation {generation - 1}", highlight=False)
    genomes = empty_log(planned.encoding)
    if restored.arrays:
        source = f"{run_dir}: its checkpoint"
        genomes = from_arrays(restored.arrays, planned.encoding, source=source)
    return restored.state, _Progress(float(restored.meta["seconds"]), 0.0, [events], genomes)


def _loop(
    planned: EvolvePlan,
    compiled: Any,
    state: EvolutionState,
    params: Any,
    carried: _Progress,
    checkpoints: Any,
    run_dir: Path,
    stop: list[int],
    progress: EvolveProgress,
    *,
    length: int,
) -> EvolutionState:
    """Segments until the generations are done or a signal came; log and checkpoint between."""
    config = planned.config
    total = planned.generations + 1
    done = int(state.generation)
    first, ends_at = done, time.monotonic() + 60 * (config.minutes or math.inf)
    # Generation 0 is no step of the count: `--checkpoint-every 100` saves after 100, 200, ...
    counted_from, saved_at, saved_time = max(done, 1), done, time.monotonic()
    count = 1
    while done < total and not stop and (done == first or time.monotonic() < ends_at):
        ends = total
        if config.checkpoint_every:
            ends = min(total, counted_from + config.checkpoint_every)
        count = min(count, ends - done)
        started = time.perf_counter()
        state, log = compiled(state, params, np.int32(count))
        log = jax.device_get(log)
        elapsed = time.perf_counter() - started
        _stop_if_bad(state, run_dir)
        times = carried.seconds + elapsed * np.arange(1, count + 1) / count
        _record(planned, log, count, times, carried, run_dir)
        before = planned.evaluations(done - 1) if done else 0
        done += count
        carried.seconds += time.perf_counter() - started
        progress.update(
            done=done,
            rate=(planned.evaluations(done - 1) - before) / elapsed,
            statistics=jax.tree.map(itemgetter(count - 1), log.statistics),
            cells=len(planned.scorer.class_names),
            last=done == total or bool(stop) or time.monotonic() >= ends_at,
        )
        due = (
            done - counted_from >= config.checkpoint_every
            if config.checkpoint_every
            else time.monotonic() - saved_time >= CHECKPOINT_SECONDS
        )
        if due or done == total or stop:
            _checkpoint(checkpoints, state, carried, run_dir, done)
            counted_from, saved_at, saved_time = max(done, 1), done, time.monotonic()
        # Segments of about a second: Ctrl-C and NaN scores are met soon, the host seldom asks.
        wanted = int(SEGMENT_SECONDS / max(elapsed / count, 1e-6))
        count = max(1, min(wanted, length))
    if done > saved_at:  # the time is over, or a signal came after the last look
        _checkpoint(checkpoints, state, carried, run_dir, done)
    checkpoints.wait_until_finished()
    return jax.device_get(state)


def _stop_if_bad(state: EvolutionState, run_dir: Path) -> None:
    try:
        raise_if_bad(state)
    except UserError:
        facts = {"status": "failed", "bad_generation": int(state.bad_generation)}
        write_json(run_dir / "run.json", read_run(run_dir) | facts)
        raise


def _record(
    planned: EvolvePlan,
    log: GenerationLog,
    count: int,
    times: np.ndarray,
    carried: _Progress,
    run_dir: Path,
) -> None:
    rows = metric_rows(
        log,
        count=count,
        evaluations=planned.evaluations,
        seconds=list(times),
        every=planned.config.log_every,
    )
    append_metrics(run_dir, rows)
    carried.events.append(events_of(log, count=count))
    if planned.keep_genomes != "none":
        carried.genomes = extend(carried.genomes, winners_of(log, count=count))
    if planned.keep_genomes == "ancestors":
        carried.genomes = prune(carried.genomes, np.asarray(log.id)[count - 1])


def _checkpoint(
    checkpoints: Any, state: EvolutionState, carried: _Progress, run_dir: Path, done: int
) -> None:
    # The lineage first: whatever checkpoint is whole, the file covers it, and resume cuts it back.
    carried.events = [join_events(carried.events)]
    write_lineage(run_dir, carried.events[0])
    save_checkpoint(
        checkpoints,
        state,
        step=done - 1,
        meta={"seconds": carried.seconds},
        arrays=to_arrays(carried.genomes) if len(carried.genomes.id) else None,
    )


def _finish(
    planned: EvolvePlan,
    run_dir: Path,
    state: EvolutionState,
    carried: _Progress,
    stop: list[int],
    console: Console,
) -> EvolveResult:
    unfinished = int(state.generation) <= planned.generations
    facts: dict[str, Any] = {
        "seconds": round(carried.seconds, 3),
        "compile_seconds": round(carried.compile_seconds, 3),
    }
    if unfinished and not stop:
        facts["status"] = "paused"
    say = functools.partial(console.print, highlight=False, soft_wrap=True, markup=False)
    if len(carried.genomes.id):
        write_genome_log(run_dir, carried.genomes)
    say(f"writing the pictures, and scoring them again, into {run_dir}")
    difference = write_results(run_dir, planned, state, facts=facts)
    evaluations = planned.evaluations(int(state.generation) - 1)
    say(
        f"{evaluations:,} evaluations in {carried.seconds:.1f} s (compile time apart); "
        f"PNGs scored again from disk: confidence differs by at most {difference:.1g}"
    )
    if planned.scorer.wnids:
        say(share_of_the_original(planned.encoding.name, evaluations))
    say(f"most confident: {most_confident(state, planned.scorer.class_names)}")
    say(f"look at {run_dir / 'report.html'}")
    if unfinished:
        command = shlex.join(["qd-fool", "evolve", "--resume", "--run-dir", str(run_dir)])
        why = "interrupted, and saved" if stop else f"{planned.config.minutes:g} minutes are over"
        say(f"{why}; go on with: {command}")
    return EvolveResult(run_dir, state, unfinished and bool(stop), difference)
