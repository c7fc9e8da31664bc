"""`qd-fool evolve`: MAP-Elites with a run directory, progress, checkpoints and resume."""

import dataclasses
import time
from pathlib import Path
from typing import Any

from jax.sharding import Mesh
from rich.console import Console

from qd_fool.commands.common.circumstances import with_parts
from qd_fool.commands.common.imports import imports_record
from qd_fool.commands.common.part import Part
from qd_fool.commands.common.progress import progress_bar
from qd_fool.commands.common.record import (
    close_record,
    continued_by,
    devices_in_words,
    new_record,
    resume_command,
    update_record,
    write_archive_and_elites,
)
from qd_fool.commands.common.signals import Stop, active_stop, stop_on_signal
from qd_fool.commands.common.team import join, taking_part
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.explain import explain
from qd_fool.commands.evolve.loop import History, Job, evolve_segments
from qd_fool.commands.evolve.memory import check_memory
from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.commands.evolve.results import facts_of
from qd_fool.commands.evolve.resume import check_resumable
from qd_fool.commands.evolve.sanity import show_sanity
from qd_fool.commands.evolve.segment import segment_of
from qd_fool.commands.evolve.start import blank_state, new_start, resumed_start
from qd_fool.commands.evolve.team import facts_to_agree, follow_run, plan_together
from qd_fool.commands.evolve.words import most_confident, share_of_the_original
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.devices.processes import LostProcessError, Team, agree
from qd_fool.errors import BudgetSpentError, PauseError, UserError
from qd_fool.files import write_json
from qd_fool.map_elites.segments import Segment, compile_segment
from qd_fool.map_elites.state import EvolutionState
from qd_fool.map_elites.together import leading
from qd_fool.runs.checkpoints import open_checkpoints
from qd_fool.runs.directory import check_utf8, make_run_dir, may_resume, new_directory, sole_user
from qd_fool.runs.genomes import write_genome_log


@dataclasses.dataclass(frozen=True)
class EvolveResult:
    """The result of a call of `evolve_run`.

    Attributes:
      run_dir: Directory of the run.
      state: State on the host; None in a process that follows another one.
      interrupted: Whether Ctrl-C (or SIGTERM) ended the run early.
      rescore_difference: Largest difference between an elite's confidence and that of its PNG.
    """

    run_dir: Path
    state: EvolutionState | None
    interrupted: bool
    rescore_difference: float


def evolve_run(
    config: EvolveConfig,
    *,
    console: Console,
    part: Part | None = None,
    team: Team | None = None,
    command: str | None = None,
) -> EvolveResult:
    """Start a run, or continue one, until its generations are done or Ctrl-C.

    Args:
      config: Settings of the run.
      console: Console for progress and messages.
      part: What a larger command gives to the run; None for a run of its own.
      team: Processes of a larger command; by default those that the settings name.
      command: Command line that continues a larger command; by default the one of this run.

    Raises:
      UserError: Settings are wrong, the directory is in use, or scores are NaN. Nothing is
        overwritten.
    """
    team = join(config) if team is None else team
    if not team.leads:
        return EvolveResult(
            config.run_dir or Path(), None, follow_run(config, team, console=console), 0.0
        )

    # Check the settings before the directory is touched.
    with taking_part(team):
        models = "+".join((config.model, *config.also))
        run_dir = new_directory(config.run_dir, models, config.encoding)
        check_utf8(run_dir)
        resuming = may_resume(run_dir, resume=config.resume)
        if config.resume and not resuming:
            console.print(f"nothing to resume in {run_dir}: starting a new run")
        planned = plan_together(config, team, loaded=None if part is None else part.scorer)
        stored = _check_stored(run_dir, planned) if resuming else None
        mesh = make_mesh(planned.config.devices, together=team.count > 1)
        check_memory(planned, mesh)
        segment, length = segment_of(planned, mesh)
    agree(team, facts_to_agree(planned, mesh), mesh=mesh)
    subject = planned.subject
    console.print(
        f"fooling {subject.scorer.name} ({subject.scorer.weights}) with the "
        f"{subject.encoding.name} encoding on {devices_in_words(mesh)}, into {run_dir}"
    )
    with leading(team, mesh, hear=active_stop().hear) as leader:
        if config.explain:
            _explain(planned, segment, mesh, console=console)
            return EvolveResult(run_dir, None, False, 0.0)
        start = None if stored else new_start(planned)
        if part is None:
            photos, convert = planned.config.photos, planned.config.convert
            show_sanity(subject, console, photos=photos, convert=convert)

        make_run_dir(run_dir)
        command = command or resume_command("evolve", run_dir, subject.networks)
        with (
            continued_by(command),
            sole_user(run_dir),
            open_checkpoints(run_dir / "checkpoints") as checkpoints,
        ):
            # Find the start, and compile. A signal ends the command, and nothing has begun.
            if start is None:
                start = resumed_start(
                    run_dir, checkpoints, planned, stored=stored or {}, console=console
                )
            leader.begin(start.state)
            state, params = replicate(start.state, mesh), replicate(subject.scorer.params, mesh)
            # The devices have copies of the state: this one may be large, and is given up.
            history, donor, done = start.history, start.donor, int(start.state.generation)
            del start
            begun = time.perf_counter()
            compiled = compile_segment(segment, state, params)
            compile_seconds = time.perf_counter() - begun
            console.print(f"compiled in {compile_seconds:.1f} s")

            # Evolve. From here on a signal is noted, and the run is saved.
            with stop_on_signal() as stop:
                record = new_record(
                    "evolution",
                    subject,
                    mesh,
                    config=planned.record,
                    generations=planned.generations,
                    init_from_digest=donor,
                    imports=imports_record(config.imports) or (stored or {}).get("imports", []),
                    feedback=planned.map_elites.feedback,
                )
                record = with_parts(record, stored or {}, done=done, console=console)
                write_json(run_dir / "run.json", record)
                run = leader.leading(compiled)
                job = Job(planned, run_dir, checkpoints, run, params, length, command)
                state = _evolved(
                    job, state, history, done=done, stop=stop, console=console, part=part
                )
                leader.end()
                facts = {
                    "seconds": round(history.seconds, 3),
                    "compile_seconds": round(compile_seconds, 3),
                }
                return _finish(job, state, history, facts, stop=stop, console=console)


def _explain(planned: EvolvePlan, segment: Segment, mesh: Mesh, *, console: Console) -> None:
    """Compile the run, and print what it costs."""
    state = replicate(blank_state(planned), mesh)
    params = replicate(planned.subject.scorer.params, mesh)
    explain(planned, compile_segment(segment, state, params), mesh, console=console)


def _evolved(
    job: Job,
    state: EvolutionState,
    history: History,
    *,
    done: int,
    stop: Stop,
    console: Console,
    part: Part | None,
) -> EvolutionState:
    """The state on the host after the run's generations; see `evolve_segments`."""
    total, done = job.planned.generations, max(0, done - 1)
    try:
        stretch = None if part is None else part.stretch
        with progress_bar(console, "generation", total=total, done=done, stretch=stretch) as bar:
            return evolve_segments(job, state, history, stop=stop, bar=bar)
    except LostProcessError as error:
        job.checkpoints.wait_until_finished()
        update_record(job.run_dir, {"status": "interrupted"})
        words = f"continue from the newest checkpoint with: {job.command}"
        raise UserError(f"{error}; {words}") from error


def _finish(
    job: Job,
    state: EvolutionState,
    history: History,
    facts: dict[str, Any],
    *,
    stop: Stop,
    console: Console,
) -> EvolveResult:
    """Write the files of the run directory, and print the results.

    Args:
      job: Fixed parts of the evolution.
      state: State on the host, which is saved as a checkpoint.
      history: Logs of the evolution.
      facts: Run times, for `run.json`.
      stop: True once a signal came.
      console: Console for the results.
    """
    planned, failure = job.planned, history.failure
    facts = facts | facts_of(
        state,
        generations=planned.generations,
        evaluations=planned.spent(state),
        ended=planned.budget is not None and not planned.affordable(state),
    )
    if failure is not None and (not facts["evaluations"] or not _is_asked(failure)):
        _stop_after(failure, job, facts)
    if facts["status"] == "interrupted" and not stop:
        facts["status"] = "paused"
    if not int(state.generation):
        update_record(job.run_dir, facts)
        console.print(f"interrupted before the first generation; start over with: {job.command}")
        return EvolveResult(job.run_dir, state, True, 0.0)
    difference = _write_results(job, state, history, facts, console)
    _print_outcome(job, state, facts, console, failure)
    return EvolveResult(job.run_dir, state, facts["status"] == "interrupted", difference)


def _check_stored(run_dir: Path, planned: EvolvePlan) -> dict[str, Any]:
    """The `run.json` of a run that these settings can continue."""
    stored = check_resumable(run_dir, planned)
    kind = stored.get("kind", "evolution")
    if kind != "evolution":
        raise UserError(
            f"cannot resume {run_dir}: its kind is {kind}, expected evolution; --init-from takes "
            "its pictures over into a new run"
        )
    return stored


def _is_asked(failure: UserError) -> bool:
    """Whether a run ends early because the user has asked for it: its budget is spent."""
    return isinstance(failure, BudgetSpentError)


def _stop_after(failure: UserError, job: Job, facts: dict[str, Any]) -> None:
    """End a run whose network on the host failed. Everything until the failure is saved.

    The pictures are not written, because each one would be shown to the network again.

    Raises:
      UserError: Always: the failure, and how to continue.
    """
    status = "paused" if isinstance(failure, PauseError) else "failed"
    update_record(job.run_dir, facts | {"status": status})
    done = facts["generations_done"]
    saved = f"the run is saved after generation {done}" if done >= 0 else "no generation was done"
    raise UserError(f"{failure}; {saved}, continue with: {job.command}") from failure


def _write_results(
    job: Job,
    state: EvolutionState,
    history: History,
    facts: dict[str, Any],
    console: Console,
) -> float:
    """Write the files of the run directory that the loop has not written."""
    console.print(f"writing the pictures, and scoring them again, into {job.run_dir}")
    if len(history.genomes.id):
        write_genome_log(job.run_dir, history.genomes)
    difference = write_archive_and_elites(job.run_dir, job.planned.subject, state)
    close_record(job.run_dir, facts, difference=difference)
    console.print(
        f"{facts['evaluations']:,} evaluations in {history.seconds:.1f} s (without compile time); "
        f"PNGs scored again from disk: confidence differs by at most {difference:.1g}"
    )
    return difference


def _print_outcome(
    job: Job,
    state: EvolutionState,
    facts: dict[str, Any],
    console: Console,
    failure: UserError | None,
) -> None:
    """Print the most confident classes, the report's place, and how to continue."""
    subject, config = job.planned.subject, job.planned.config
    if subject.scorer.wnids:
        console.print(share_of_the_original(subject.encoding.name, facts["evaluations"]))
    console.print(f"most confident: {most_confident(state, subject.scorer.class_names)}")
    console.print(f"look at {job.run_dir / 'report.html'}")
    if facts["status"] != "finished":
        paused = facts["status"] == "paused"
        why = f"{config.minutes:g} minutes are over" if config.minutes else "paused, and saved"
        if failure is not None:
            why = str(failure)
        elif not paused:
            why = "interrupted, and saved"
        console.print(f"{why}; continue with: {job.command}")
