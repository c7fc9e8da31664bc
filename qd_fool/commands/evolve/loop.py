"""The loop of an evolution: a segment of generations, then logs, progress and checkpoints."""

import dataclasses
import math
import time
from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jaxtyping import PyTree

from qd_fool.commands.common.pace import next_count
from qd_fool.commands.common.progress import Bar
from qd_fool.commands.common.record import update_record
from qd_fool.commands.common.signals import Stop
from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.commands.evolve.words import progress_info
from qd_fool.errors import UserError
from qd_fool.map_elites.division import begin_tuning
from qd_fool.map_elites.host_segments import Unfinished
from qd_fool.map_elites.segments import raise_if_bad
from qd_fool.map_elites.state import EvolutionState, GenerationLog
from qd_fool.runs.checkpoints import finish_saving, save_checkpoint
from qd_fool.runs.genomes import GenomeLog, extend, prune, to_arrays, winners_of
from qd_fool.runs.lineage import Events, events_of, join_events, write_lineage
from qd_fool.runs.metrics import append_metrics, metric_rows

CHECKPOINT_SECONDS = 30.0
"""Time between checkpoints where --checkpoint-every is not given."""


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """The fixed parts of an evolution, the same for all segments.

    Attributes:
      planned: Plan of the run.
      run_dir: Directory of the run.
      checkpoints: Checkpoints of the run.
      segment: Compiled `(state, params, generations) -> (state, log)`, which donates the state.
      params: Parameters of the network, on all devices.
      length: Highest number of generations in a segment.
      command: Command line that continues the run, for messages.
    """

    planned: EvolvePlan
    run_dir: Path
    checkpoints: ocp.CheckpointManager
    segment: Callable[..., tuple[EvolutionState, GenerationLog]]
    params: PyTree[Any]
    length: int
    command: str


@dataclasses.dataclass
class History:
    """The logs of an evolution, which are saved with its state.

    Attributes:
      seconds: Run time without compilation, including the time before a resume.
      events: Insertions into the archive, in parts.
      genomes: Genomes that the run keeps.
      failure: Error of a network on the host, which ended the run early. The run is saved.
    """

    seconds: float
    events: list[Events]
    genomes: GenomeLog
    failure: UserError | None = None


def evolve_segments(
    job: Job, state: EvolutionState, history: History, *, stop: Stop, bar: Bar
) -> EvolutionState:
    """Evolve until all generations are done, the time is over or a signal came.

    Args:
      job: Fixed parts of the evolution.
      state: State on all devices, which is donated.
      history: Logs of the evolution, which are changed in place.
      stop: True once a signal came.
      bar: Progress bar.

    Returns:
      The state on the host, which is saved as the newest checkpoint.

    Raises:
      UserError: The network gave NaN or infinite scores.
    """
    planned = job.planned
    # Generation 0 is counted: after `done` generations, generations 0 to done - 1 are over.
    total, done = planned.generations + 1, int(state.generation)
    ends_at = time.monotonic() + 60 * (planned.config.minutes or math.inf)
    saves = _Saves(planned.config.checkpoint_every, done=done)
    count, over = 1, False
    spent = planned.spent(state)
    tuning = _Tuning(planned, started=time.monotonic())
    while done < total and not stop and not over and history.failure is None:
        # Evolve for about a second, but not beyond the next checkpoint or the budget.
        count = min(count, saves.end_of_segment(total) - done)
        if planned.budget is not None:
            count = min(count, planned.affordable(state))
            if not count:
                break
        started = time.perf_counter()
        state = tuning.begun(state, generation=done)
        try:
            state, log = job.segment(state, job.params, np.int32(count))
        except Unfinished as unfinished:
            state, history.failure = unfinished.state, unfinished.cause
            if unfinished.log is None:  # not even one generation is whole
                break
            log, count = unfinished.log, unfinished.generations
        log = jax.device_get(log)
        elapsed = time.perf_counter() - started
        _stop_if_bad(state, job.run_dir)

        # Log each generation of the segment.
        _record_segment(job, log, history, count=count, elapsed=elapsed)
        done += count
        history.seconds += time.perf_counter() - started
        over = time.monotonic() >= ends_at

        # Show the figures of the last generation.
        before, spent = spent, _evaluations(planned, log, count - 1)
        info = progress_info(
            jax.tree.map(itemgetter(count - 1), log.statistics),
            rate=(spent - before) / elapsed,
            cells=len(planned.subject.scorer.class_names),
        )
        bar.update(done - 1, info, last=done == total or bool(stop) or over)

        # Save, if a checkpoint is due.
        if saves.due(done) or done == total or stop:
            _save(job, state, history, done=done)
            saves.saved(done)
        count = next_count(count, elapsed, most=job.length)
    # The time is over, the network failed, or a signal came after the last check.
    if done > saves.newest:
        _save(job, state, history, done=done)
    finish_saving(job.checkpoints)
    return jax.device_get(state)


class _Tuning:
    """The time from which emitters with a step size join adaptive shares.

    It is a generation of the plan. Where minutes end the run first, it is the generation that has
    been reached in the same part of the minutes.
    """

    def __init__(self, planned: EvolvePlan, *, started: float) -> None:
        self._waits = planned.map_elites.feedback and planned.map_elites.tune_after > 0
        minutes = planned.config.minutes or math.inf
        self._at = started + 60 * planned.map_elites.tune_after * minutes

    def begun(self, state: EvolutionState, *, generation: int) -> EvolutionState:
        """The state, in which tuning begins if it is time.

        Args:
          state: State on all devices.
          generation: The coming generation.
        """
        if not self._waits or state.feedback is None or time.monotonic() < self._at:
            return state
        self._waits = False
        if int(state.feedback.tune_from) <= generation:
            return state
        return begin_tuning(state, generation)


class _Saves:
    """The times of checkpoints: after a number of generations, or after some seconds."""

    def __init__(self, every: int | None, *, done: int) -> None:
        self._every = every
        self.newest, self._time = done, time.monotonic()

    def saved(self, done: int) -> None:
        """Record that the state after `done` generations is saved."""
        self.newest, self._time = done, time.monotonic()

    def end_of_segment(self, total: int) -> int:
        """The number of generations at which a checkpoint is due or the run is over."""
        return total if self._every is None else min(total, self._next(self._every))

    def due(self, done: int) -> bool:
        """Whether to save the state after `done` generations."""
        if self._every is None:
            return time.monotonic() - self._time >= CHECKPOINT_SECONDS
        return done >= self._next(self._every)

    def _next(self, every: int) -> int:
        # Generation 0 is not counted: `--checkpoint-every 100` saves after 100, 200, ...
        return max(self.newest, 1) + every


def _stop_if_bad(state: EvolutionState, run_dir: Path) -> None:
    try:
        raise_if_bad(state)
    except UserError:
        facts = {"status": "failed", "bad_generation": int(state.bad_generation)}
        update_record(run_dir, facts)
        raise


def _record_segment(
    job: Job, log: GenerationLog, history: History, *, count: int, elapsed: float
) -> None:
    """Append the results of a segment to metrics, events and genomes."""
    planned = job.planned
    seconds = history.seconds + elapsed * np.arange(1, count + 1) / count
    rows = metric_rows(
        log,
        count=count,
        evaluations=[_evaluations(planned, log, i) for i in range(count)],
        emitters=[share.name for share in planned.map_elites.emitters],
        seconds=list(seconds),
        every=planned.config.log_every,
    )
    append_metrics(job.run_dir, rows)
    history.events.append(events_of(log, count=count))
    if planned.keep_genomes != "none":
        history.genomes = extend(history.genomes, winners_of(log, count=count))
    if planned.keep_genomes == "ancestors":
        history.genomes = prune(history.genomes, np.asarray(log.id)[count - 1])


def _evaluations(planned: EvolvePlan, log: GenerationLog, row: int) -> int:
    """Evaluations counted up to the end of a generation in the log."""
    if log.emitters is not None:
        return int(log.emitters.evaluations[row])
    return planned.evaluations(int(log.generation[row]))


def _save(job: Job, state: EvolutionState, history: History, *, done: int) -> None:
    # The lineage is written first, so that it covers every whole checkpoint. A resume cuts it back.
    history.events = [join_events(history.events)]
    write_lineage(job.run_dir, history.events[0])
    save_checkpoint(
        job.checkpoints,
        state,
        step=done - 1,
        meta={"seconds": history.seconds},
        arrays=to_arrays(history.genomes) if len(history.genomes.id) else None,
    )
