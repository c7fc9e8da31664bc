"""`qd-fool evolve`: MAP-Elites with a run directory, progress, checkpoints and resume."""

import dataclasses
import importlib.metadata
import platform
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from rich.console import Console

from qd_fool.checkpoints import open_checkpoints, restore_newest, save_checkpoint
from qd_fool.elites import render_elites, score_images, write_elites
from qd_fool.errors import UserError
from qd_fool.experiments.evolve_config import (
    EvolveConfig,
    EvolvePlan,
    check_resumable,
    new_run_dir,
    plan,
)
from qd_fool.experiments.progress import EvolveProgress, evolve_progress
from qd_fool.files import write_json
from qd_fool.map_elites import (
    EvolutionState,
    GenerationLog,
    init,
    make_mesh,
    make_segment,
    raise_if_bad,
    replicate,
)
from qd_fool.report.page import write_report
from qd_fool.runs import (
    SCHEMA,
    Events,
    append_metrics,
    events_of,
    join_events,
    metric_rows,
    read_archive,
    read_lineage,
    read_run,
    truncate_metrics,
    write_archive,
    write_lineage,
)

SEGMENT_LENGTH = 64
SEGMENT_SECONDS = 1.0
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


def evolve_run(config: EvolveConfig, *, console: Console) -> EvolveResult:
    """Start a run, or go on with one, until its generations are done or Ctrl-C.

    Raises:
      UserError: bad settings, a directory in use, NaN scores. Nothing is overwritten.
    """
    run_dir = new_run_dir(config)
    resuming = _is_resumable(run_dir, resume=config.resume, console=console)
    planned = plan(config)
    stored = check_resumable(run_dir, planned) if resuming else None
    mesh = make_mesh(planned.config.devices)
    _say_what(planned, mesh, run_dir, console)
    # Whatever these raise about bad input, they raise before the directory is touched.
    segment = make_segment(
        planned.scorer, planned.encoding, planned.map_elites, mesh=mesh, length=SEGMENT_LENGTH
    )
    state = None if stored else _first_state(planned)
    run_dir.mkdir(parents=True, exist_ok=True)
    with open_checkpoints(run_dir / "checkpoints") as checkpoints:
        carried = _Progress(seconds=0.0, compile_seconds=0.0, events=[])
        if stored and (restored := _restore(run_dir, checkpoints, planned, console)):
            state, carried = restored
        elif state is None:
            state = _first_state(planned)
        if int(state.generation) == 0:
            write_json(run_dir / "run.json", _run_record(planned, mesh, "running"))
        total = planned.config.generations + 1
        if int(state.generation) > total:
            raise UserError(
                f"--generations is {total - 1}: the run in {run_dir} has done "
                f"{int(state.generation) - 1} already"
            )
        state = replicate(state, mesh)
        params = replicate(planned.scorer.params, mesh)
        started = time.perf_counter()
        compiled = segment.lower(state, params, np.int32(1)).compile()  # type: ignore[attr-defined]
        carried.compile_seconds = time.perf_counter() - started
        console.print(f"compiled in {carried.compile_seconds:.1f} s", highlight=False)
        with (
            _stop_on_signal() as stop,
            evolve_progress(console, total=total, done=int(state.generation)) as progress,
        ):
            state = _loop(
                planned, compiled, state, params, carried, checkpoints, run_dir, stop, progress
            )
        interrupted = int(state.generation) < total
        return _finish(planned, mesh, run_dir, state, carried, interrupted, console)


def _is_resumable(run_dir: Path, *, resume: bool, console: Console) -> bool:
    """Whether there is a run to go on with; refuses what would overwrite something."""
    if run_dir.exists() and not run_dir.is_dir():
        raise UserError(f"--run-dir {run_dir} is a file: expected a directory")
    empty = not run_dir.exists() or not any(run_dir.iterdir())
    if resume and empty:
        console.print(f"nothing to resume in {run_dir}: starting a new run", highlight=False)
    if resume or empty:
        return not empty
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


def _first_state(planned: EvolvePlan) -> EvolutionState:
    """Generation 0 to come: from nothing, or from the elites of another run, scored anew."""
    state, source = _blank_state(planned), planned.config.init_from
    if source is None:
        return state
    wanted, found = planned.encoding.name, read_run(source)["config"].get("encoding")
    if found != wanted:
        raise UserError(f"--init-from {source}: its encoding is {found}, expected {wanted}")
    donor = read_archive(source, state).archive
    crops, chunk = planned.map_elites.crops, planned.map_elites.chunk
    images = render_elites(donor, planned.encoding, chunk=chunk)
    scores = score_images(planned.scorer, images, crops=crops, chunk=chunk)
    held, cells = np.asarray(donor.occupied), np.arange(len(scores))
    # An elite keeps its cell, and starts a line of its own: ids of another run mean nothing here.
    donor_id = np.asarray(donor.id)
    first_cell = np.argmax(donor_id[None, :] == donor_id[:, None], axis=1)
    none = jnp.full(len(cells), -1, jnp.int32)
    archive = dataclasses.replace(
        donor,
        fitness=jnp.where(held, scores[cells, cells], -jnp.inf),
        id=jnp.where(held, -2 - first_cell, -1).astype(jnp.int32),
        parent_id=none,
        parent_class=none,
        born=none,
    )
    return dataclasses.replace(state, archive=archive)


def _restore(
    run_dir: Path, checkpoints: Any, planned: EvolvePlan, console: Console
) -> tuple[EvolutionState, _Progress] | None:
    """The newest whole checkpoint, with the log cut back to it; None where there is none yet."""
    restored = restore_newest(checkpoints, _blank_state(planned))
    if restored is None and checkpoints.all_steps():
        raise UserError(f"cannot resume {run_dir}: each of its checkpoints is damaged")
    if restored is None:
        console.print(f"no checkpoint in {run_dir} yet: starting over", highlight=False)
        truncate_metrics(run_dir, before=0)
        return None
    state, meta, problems = restored
    for problem in problems:
        console.print(f"{problem}; falling back to the one before", highlight=False)
    generation = int(state.generation)
    for step in checkpoints.all_steps():
        if step >= generation:
            checkpoints.delete(step)  # damaged: it would stand in the way of its successor
    truncate_metrics(run_dir, before=generation)
    events = read_lineage(run_dir, before=generation)
    console.print(f"resuming after generation {generation - 1}", highlight=False)
    return state, _Progress(float(meta["seconds"]), 0.0, [events] if events else [])


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
) -> EvolutionState:
    """Segments until the generations are done or a signal came; log and checkpoint between."""
    config = planned.config
    total = config.generations + 1
    done = int(state.generation)
    saved_at, saved_time = done, time.monotonic()
    count = 1
    while done < total and not stop:
        ends = total
        if config.checkpoint_every:
            ends = min(total, saved_at + config.checkpoint_every)
        count = min(count, ends - done)
        started = time.perf_counter()
        state, log = compiled(state, params, np.int32(count))
        log = jax.device_get(log)
        elapsed = time.perf_counter() - started
        raise_if_bad(state)
        times = carried.seconds + elapsed * np.arange(1, count + 1) / count
        _record(planned, log, count, times, carried, run_dir)
        done += count
        carried.seconds += time.perf_counter() - started
        progress.update(
            done=done,
            rate=count * config.batch_size / elapsed,
            statistics=jax.tree.map(itemgetter(count - 1), log.statistics),
            cells=len(planned.scorer.class_names),
            last=done == total or bool(stop),
        )
        due = (
            done - saved_at >= config.checkpoint_every
            if config.checkpoint_every
            else time.monotonic() - saved_time >= CHECKPOINT_SECONDS
        )
        if due or done == total or stop:
            _checkpoint(checkpoints, state, carried, run_dir, done)
            saved_at, saved_time = done, time.monotonic()
        # Segments of about a second: Ctrl-C and NaN scores are met soon, the host seldom asks.
        wanted = int(SEGMENT_SECONDS / max(elapsed / count, 1e-6))
        count = max(1, min(wanted, SEGMENT_LENGTH))
    checkpoints.wait_until_finished()
    return jax.device_get(state)


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
        batch_size=planned.config.batch_size,
        seconds=list(times),
        every=planned.config.log_every,
    )
    append_metrics(run_dir, rows)
    carried.events.append(events_of(log, count=count))


def _checkpoint(
    checkpoints: Any, state: EvolutionState, carried: _Progress, run_dir: Path, done: int
) -> None:
    # The lineage first: whatever checkpoint is whole, the file covers it, and resume cuts it back.
    carried.events = [join_events(carried.events)]
    write_lineage(run_dir, carried.events[0])
    save_checkpoint(checkpoints, state, step=done - 1, meta={"seconds": carried.seconds})


def _finish(
    planned: EvolvePlan,
    mesh: Mesh,
    run_dir: Path,
    state: EvolutionState,
    carried: _Progress,
    interrupted: bool,
    console: Console,
) -> EvolveResult:
    write_archive(run_dir, state)
    difference = write_elites(
        run_dir,
        state,
        scorer=planned.scorer,
        encoding=planned.encoding,
        crops=planned.map_elites.crops,
        chunk=planned.map_elites.chunk,
    )
    record = _run_record(planned, mesh, "interrupted" if interrupted else "finished")
    done = int(state.generation)
    record |= {
        "generations_done": done - 1,
        "evaluations": done * planned.config.batch_size,
        "seconds": round(carried.seconds, 3),
        "compile_seconds": round(carried.compile_seconds, 3),
        "png_rescored_max_difference": difference,
    }
    write_json(run_dir / "run.json", record)
    write_report(run_dir)
    console.print(
        f"{record['evaluations']:,} evaluations in {carried.seconds:.1f} s (compile time apart); "
        f"PNGs scored again from disk: confidence differs by at most {difference:.1e}\n"
        f"look at {run_dir / 'report.html'}",
        highlight=False,
        soft_wrap=True,
    )
    if interrupted:
        command = shlex.join(["qd-fool", "evolve", "--resume", "--run-dir", str(run_dir)])
        console.print(f"interrupted, and saved; go on with: {command}", highlight=False)
    return EvolveResult(run_dir, state, interrupted, difference)


def _run_record(planned: EvolvePlan, mesh: Mesh, status: str) -> dict[str, Any]:
    """`run.json`: what was run, on what, with which versions."""
    packages = ("qd-fool", "jax", "jaxlib", "flax", "numpy", "orbax-checkpoint", "pillow")
    device = mesh.devices.flat[0]
    return {
        "schema": SCHEMA,
        "status": status,
        "config": planned.record,
        "encoding_settings": dataclasses.asdict(planned.encoding.settings),
        "image_shape": planned.encoding.image_shape,
        "classes": len(planned.scorer.class_names),
        "weights": planned.scorer.weights,
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in packages},
        },
        "device": {
            "kind": device.device_kind,
            "platform": device.platform,
            "count": mesh.devices.size,
            "machine": platform.machine(),
        },
    }


@contextmanager
def _stop_on_signal() -> Iterator[list[int]]:
    """A list that gets the signal's number on Ctrl-C or SIGTERM; a second Ctrl-C cuts at once."""
    got: list[int] = []

    def note(number: int, _frame: Any) -> None:
        if got:
            raise KeyboardInterrupt
        got.append(number)

    before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
