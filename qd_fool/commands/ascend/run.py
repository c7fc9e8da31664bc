"""`qd-fool ascend`: gradient ascent with a run directory, progress and resume."""

import dataclasses
from pathlib import Path
from typing import Any

from rich.console import Console

from qd_fool.ascent.blocks import evaluations_of
from qd_fool.commands.ascend.blocks import drop_blocks, read_blocks
from qd_fool.commands.ascend.config import AscendConfig
from qd_fool.commands.ascend.loop import climb_blocks
from qd_fool.commands.ascend.plan import AscendPlan
from qd_fool.commands.ascend.record import ascent_record
from qd_fool.commands.ascend.results import write_ascent
from qd_fool.commands.ascend.resume import check_ascent_resumable
from qd_fool.commands.ascend.table import print_table
from qd_fool.commands.ascend.team import agree_on_ascent, follow_ascent, plan_together
from qd_fool.commands.common.circumstances import with_parts
from qd_fool.commands.common.imports import imports_record
from qd_fool.commands.common.part import Part
from qd_fool.commands.common.record import (
    continued_by,
    devices_in_words,
    resume_command,
    update_record,
)
from qd_fool.commands.common.signals import stop_on_signal
from qd_fool.commands.common.team import join, stepping, taking_part
from qd_fool.devices.processes import LostProcessError
from qd_fool.errors import UserError
from qd_fool.files import write_json
from qd_fool.runs.directory import (
    make_run_dir,
    may_resume,
    new_directory,
    read_run,
    sole_user,
)


@dataclasses.dataclass(frozen=True)
class AscendResult:
    """The result of a call of `ascend_run`.

    Attributes:
      run_dir: Directory of the run.
      rows: Rows of ascent.csv, one per finished target.
      interrupted: Whether Ctrl-C (or SIGTERM) ended the ascent early.
      rescore_difference: Largest difference between an elite's confidence and that of its PNG.
    """

    run_dir: Path
    rows: list[dict[str, Any]]
    interrupted: bool
    rescore_difference: float


def ascend_run(config: AscendConfig, *, console: Console, part: Part | None = None) -> AscendResult:
    """Climb toward classes, or continue, until all targets are done or Ctrl-C.

    Args:
      config: Settings of the ascent.
      console: Console for progress and messages.
      part: What a larger command gives to the ascent; None for an ascent of its own.

    Raises:
      UserError: Settings are wrong, the directory is in use, or scores are NaN. Nothing is
        overwritten.
    """
    team = join(config)
    if not team.leads:
        interrupted = follow_ascent(config, team, console=console)
        return AscendResult(config.run_dir or Path(), [], interrupted, 0.0)

    # Check the settings before the directory is touched.
    with taking_part(team):
        run_dir = new_directory(config.run_dir, config.model, "ascent")
        resuming = may_resume(run_dir, resume=config.resume, kind="ascent")
        planned, ascent, starts = plan_together(
            config, team, console=console, loaded=None if part is None else part.scorer
        )
        stored = check_ascent_resumable(run_dir, planned) if resuming else {}
        if stored.get("status") == "finished":
            raise UserError(f"{run_dir} is finished: there is nothing to continue")
    agree_on_ascent(team, planned, ascent.mesh, starts)
    subject = planned.subject
    console.print(
        f"climbing {planned.ascent.objective} of {subject.scorer.name} "
        f"({subject.scorer.weights}): {len(planned.classes)} targets, "
        f"{planned.ascent.iterations} iterations, on {devices_in_words(ascent.mesh)}, "
        f"into {run_dir}"
    )

    with stepping(team) as steps:
        make_run_dir(run_dir)
        command = resume_command("ascend", run_dir, subject.networks)
        with continued_by(command), stop_on_signal(), sole_user(run_dir):
            imports = imports_record(config.imports) or stored.get("imports", [])
            seconds = stored.get("seconds", 0.0)
            record = ascent_record(planned, ascent.mesh, seconds=seconds, imports=imports)
            done = len(read_blocks(run_dir, subject.encoding)[0])
            record = with_parts(record, stored, done=done, console=console)
            write_json(run_dir / "run.json", record)
            stretch = None if part is None else part.stretch
            try:
                interrupted = climb_blocks(
                    planned, ascent, starts, run_dir, steps=steps, console=console, stretch=stretch
                )
            except LostProcessError as error:
                update_record(run_dir, {"status": "interrupted"})
                raise LostProcessError(f"{error}; continue with: {command}") from error
            steps.end()
            return _finish(planned, run_dir, interrupted=interrupted, console=console)


def _finish(
    planned: AscendPlan, run_dir: Path, *, interrupted: bool, console: Console
) -> AscendResult:
    """Write all files of the run directory from the blocks, and print the results."""
    command = resume_command("ascend", run_dir, planned.subject.networks)
    targets, result = read_blocks(run_dir, planned.subject.encoding)
    status = "interrupted" if interrupted else "finished"
    if result is None:
        update_record(run_dir, {"status": status})
        console.print(f"interrupted before any target was finished; start over with: {command}")
        return AscendResult(run_dir, [], True, 0.0)

    console.print(f"writing the pictures, and scoring them again, into {run_dir}")
    seconds = float(read_run(run_dir)["seconds"])
    rows, difference = write_ascent(
        run_dir, planned, targets, result, status=status, seconds=seconds
    )
    if not interrupted:
        drop_blocks(run_dir)

    print_table(console, rows, most=planned.ascent.iterations)
    evaluations = evaluations_of(planned.ascent.iterations, len(targets))
    console.print(
        f"{evaluations:,} counted evaluations in {seconds:.1f} s, compile time included; PNGs "
        f"scored again from disk: confidence differs by at most {difference:.1g}"
    )
    console.print(f"look at {run_dir / 'report.html'}")
    if interrupted:
        console.print(
            f"interrupted, {len(targets)} of {len(planned.classes)} done; continue with: {command}"
        )
    return AscendResult(run_dir, rows, interrupted, difference)
