"""`qd-fool evolve`: MAP-Elites with a run directory, progress, checkpoints and resume."""

import dataclasses
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np
from jax.sharding import Mesh
from rich.console import Console

from qd_fool.commands.common.progress import progress_bar
from qd_fool.commands.common.signals import stop_on_signal
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.loop import SEGMENT_LENGTH, Carried, run_segments
from qd_fool.commands.evolve.plan import EvolvePlan, plan
from qd_fool.commands.evolve.results import run_record, write_results
from qd_fool.commands.evolve.resume import check_resumable
from qd_fool.commands.evolve.sanity import show_sanity
from qd_fool.commands.evolve.start import first_state, restore
from qd_fool.commands.evolve.words import most_confident, share_of_the_original
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.encodings.base import genome_bytes
from qd_fool.errors import UserError
from qd_fool.files import write_json
from qd_fool.map_elites.segments import make_segment
from qd_fool.map_elites.state import EvolutionState
from qd_fool.runs.checkpoints import open_checkpoints
from qd_fool.runs.directory import make_run_dir, may_resume, new_directory, sole_user
from qd_fool.runs.genomes import (
    empty_log,
    write_genome_log,
)
from qd_fool.runs.metrics import truncate_metrics

SEGMENT_BYTES = 2**27
"""Of the genomes that a segment may log."""


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


def evolve_run(config: EvolveConfig, *, console: Console) -> EvolveResult:
    """Start a run, or go on with one, until its generations are done or Ctrl-C.

    Raises:
      UserError: bad settings, a directory in use, NaN scores. Nothing is overwritten.
    """
    models = "+".join((config.model, *config.also))
    run_dir = new_directory(config.run_dir, models, config.encoding)
    resuming = may_resume(run_dir, resume=config.resume)
    if config.resume and not resuming:
        console.print(f"nothing to resume in {run_dir}: starting a new run")
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
    state, donor = (None, None) if stored else first_state(planned)
    show_sanity(planned, console)
    make_run_dir(run_dir)
    with sole_user(run_dir), open_checkpoints(run_dir / "checkpoints") as checkpoints:
        carried = Carried(0.0, 0.0, events=[], genomes=empty_log(planned.encoding))
        restored = restore(run_dir, checkpoints, planned, console) if stored else None
        if restored:
            state, carried = restored
        if state is None:
            state, donor = first_state(planned)
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
        state = replicate(state, mesh)
        params = replicate(planned.scorer.params, mesh)
        started = time.perf_counter()
        compiled = segment.lower(state, params, np.int32(1)).compile()  # type: ignore[attr-defined]
        carried.compile_seconds = time.perf_counter() - started
        console.print(f"compiled in {carried.compile_seconds:.1f} s")
        done = max(0, int(state.generation) - 1)
        with (
            stop_on_signal() as stop,
            progress_bar(console, "generation", total=planned.generations, done=done) as bar,
        ):
            state = run_segments(
                planned,
                compiled,
                state,
                params,
                carried,
                checkpoints,
                run_dir,
                stop,
                bar,
                length=length,
            )
        return _finish(planned, run_dir, state, carried, stop, console)


def _segment_length(planned: EvolvePlan) -> int:
    """Generations a call at most: as many as the log has room for, if it holds genomes."""
    if planned.keep_genomes == "none":
        return SEGMENT_LENGTH
    generation = planned.map_elites.batch_size * genome_bytes(planned.encoding)
    return max(1, min(SEGMENT_LENGTH, SEGMENT_BYTES // generation))


def _say_what(planned: EvolvePlan, mesh: Mesh, run_dir: Path, console: Console) -> None:
    device = mesh.devices.flat[0]
    console.print(
        f"fooling {planned.scorer.name} ({planned.scorer.weights}) with the "
        f"{planned.encoding.name} encoding on {mesh.devices.size} x {device.device_kind} "
        f"({device.platform}), into {run_dir}"
    )


def _finish(
    planned: EvolvePlan,
    run_dir: Path,
    state: EvolutionState,
    carried: Carried,
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
    say = console.print
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
