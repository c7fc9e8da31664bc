"""`qd-fool export`: write a run's files again, or those of one that was cut off."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import jax
import tyro
from rich.console import Console

from qd_fool.checkpoints import open_checkpoints, restore_newest
from qd_fool.errors import UserError
from qd_fool.experiments.evolve_config import check_resumable, plan, stored_config
from qd_fool.experiments.results import sole_user, write_results
from qd_fool.map_elites import init
from qd_fool.report.page import write_report
from qd_fool.report.sheet import write_contact_sheet
from qd_fool.runs import read_archive, read_run


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Write a run's files again from its newest state: pictures, archive.npz, sheet, report.

    Of use for a run that was killed: its checkpoints hold the elites.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """A run directory."""
    format: Literal["all", "report", "sheet"] = "all"
    """all: archive.npz, elites/, elites.csv, report and sheet, from the newest checkpoint;
    report, sheet: report.html or contact_sheet.png, from the pictures that are there."""


def export_run(config: ExportConfig, *, console: Console) -> None:
    """Write what was asked for into the run directory.

    Raises:
      UserError: not a run directory, or in use, or one with neither archive nor checkpoint, or the
        weights are not those it was run with.
    """
    read_run(config.run)
    with sole_user(config.run):
        if config.format == "sheet":
            write_contact_sheet(config.run)
        elif config.format == "report":
            write_report(config.run)
        else:
            _export_all(config.run, console)
    console.print(f"wrote {config.format} into {config.run}", highlight=False, soft_wrap=True)


def _export_all(run_dir: Path, console: Console) -> None:
    planned = plan(stored_config(run_dir))
    check_resumable(run_dir, planned)
    state = jax.device_get(init(planned.encoding, len(planned.scorer.class_names), seed=0))
    facts = {}
    with open_checkpoints(run_dir / "checkpoints") as checkpoints:
        restored = restore_newest(checkpoints, state)
    if restored is not None:
        state, meta, problems = restored
        facts["seconds"] = round(float(meta["seconds"]), 3)
        for problem in problems:
            console.print(problem, highlight=False)
    elif (run_dir / "archive.npz").exists():
        state = read_archive(run_dir, state)
    else:
        raise UserError(f"{run_dir} has neither a whole checkpoint nor an archive.npz yet")
    difference = write_results(run_dir, planned, state, facts=facts)
    console.print(f"PNGs scored again: differ by at most {difference:.1g}", highlight=False)
