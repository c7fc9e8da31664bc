"""The loop over segments: log, progress and checkpoints between them."""

import dataclasses
import math
import time
from operator import itemgetter
from pathlib import Path
from typing import Any

import jax
import numpy as np

from qd_fool.commands.common.progress import Bar
from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.commands.evolve.words import progress_info
from qd_fool.errors import UserError
from qd_fool.files import write_json
from qd_fool.map_elites.segments import raise_if_bad
from qd_fool.map_elites.state import EvolutionState, GenerationLog
from qd_fool.runs.checkpoints import save_checkpoint
from qd_fool.runs.directory import read_run
from qd_fool.runs.genomes import (
    GenomeLog,
    extend,
    prune,
    to_arrays,
    winners_of,
)
from qd_fool.runs.lineage import Events, events_of, join_events, write_lineage
from qd_fool.runs.metrics import append_metrics, metric_rows

SEGMENT_LENGTH = 64


SEGMENT_SECONDS = 1.0


CHECKPOINT_SECONDS = 30.0


@dataclasses.dataclass
class Carried:
    """What the loop carries beside the state of evolution."""

    seconds: float
    compile_seconds: float
    events: list[Events]
    genomes: GenomeLog


def run_segments(
    planned: EvolvePlan,
    compiled: Any,
    state: EvolutionState,
    params: Any,
    carried: Carried,
    checkpoints: Any,
    run_dir: Path,
    stop: list[int],
    bar: Bar,
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
        record_segment(planned, log, count, times, carried, run_dir)
        before = planned.evaluations(done - 1) if done else 0
        done += count
        carried.seconds += time.perf_counter() - started
        info = progress_info(
            jax.tree.map(itemgetter(count - 1), log.statistics),
            rate=(planned.evaluations(done - 1) - before) / elapsed,
            cells=len(planned.scorer.class_names),
        )
        bar.update(
            done - 1,
            info,
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


def record_segment(
    planned: EvolvePlan,
    log: GenerationLog,
    count: int,
    times: np.ndarray,
    carried: Carried,
    run_dir: Path,
) -> None:
    """Append what a segment did to metrics, events and genomes."""
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
    checkpoints: Any, state: EvolutionState, carried: Carried, run_dir: Path, done: int
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
