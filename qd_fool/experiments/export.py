"""`qd-fool export`: write a run's files again, or those of one that was cut off."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import jax
import tyro
from rich.console import Console

from qd_fool.checkpoints import open_checkpoints, restore_newest
from qd_fool.elites import write_elites
from qd_fool.errors import UserError
from qd_fool.experiments.evolve_config import plan, stored_config
from qd_fool.map_elites import init
from qd_fool.report.page import write_report
from qd_fool.report.sheet import write_contact_sheet
from qd_fool.runs import read_archive, write_archive


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Write a run's files again from its newest state: pictures, archive.npz, sheet, report.

    Of use for a run that was killed: its checkpoints hold the elites.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """A run directory."""
    format: Literal["elites", "archive", "sheet", "report", "all"] = "all"
    """elites: elites/ and elites.csv; archive: archive.npz; sheet: contact_sheet.png; report."""


def export_run(config: ExportConfig, *, console: Console) -> None:
    """Write what was asked for into the run directory.

    Raises:
      UserError: not a run directory, or one with neither archive nor checkpoint.
    """
    want = config.format
    if want in ("elites", "archive", "all"):
        planned = plan(stored_config(config.run))
        state = jax.device_get(init(planned.encoding, len(planned.scorer.class_names), seed=0))
        with open_checkpoints(config.run / "checkpoints") as checkpoints:
            restored = restore_newest(checkpoints, state)
        if restored is not None:
            state, _, problems = restored
            for problem in problems:
                console.print(problem, highlight=False)
        elif (config.run / "archive.npz").exists():
            state = read_archive(config.run, state)
        else:
            raise UserError(f"{config.run} has neither a whole checkpoint nor an archive.npz yet")
        if want != "elites":
            write_archive(config.run, state)
        if want != "archive":
            difference = write_elites(
                config.run,
                state,
                scorer=planned.scorer,
                encoding=planned.encoding,
                crops=planned.map_elites.crops,
                chunk=planned.map_elites.chunk,
            )
            console.print(f"PNGs scored again: differ by at most {difference:.1e}", highlight=False)
    if want == "sheet":
        write_contact_sheet(config.run)
    if want in ("report", "all"):
        write_report(config.run)
    console.print(f"wrote {want} into {config.run}", highlight=False)
