"""`qd-fool export`: write a run's files again, or those of one that was cut off; its graphs."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro
from rich.console import Console

from qd_fool.commands.evolve.newest import find_cell, newest_state
from qd_fool.commands.evolve.plan import EvolvePlan, plan
from qd_fool.commands.evolve.results import write_results
from qd_fool.commands.evolve.resume import check_resumable, stored_config
from qd_fool.errors import UserError
from qd_fool.files import write_json
from qd_fool.map_elites.state import EvolutionState
from qd_fool.report.graph_svg import write_graph_svg
from qd_fool.report.page.write import write_report
from qd_fool.report.sheet import write_contact_sheet
from qd_fool.runs.directory import read_run, sole_user
from qd_fool.runs.elites import png_name
from qd_fool.runs.genomes import write_genome_log
from qd_fool.scoring.confidence import confidence_of


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Write a run's files again from its newest state: pictures, archive.npz, sheet, report.

    Of use for a run that was killed: its checkpoints hold the elites. Also writes the graphs of a
    CPPN run, as JSON or drawn.
    """

    run: Annotated[Path, tyro.conf.Positional]
    """A run directory."""
    format: Literal["all", "report", "sheet", "graphs", "svg"] = "all"
    """all: archive.npz, elites/, elites.csv, report and sheet, from the newest checkpoint;
    report, sheet: report.html or contact_sheet.png, from the pictures that are there;
    graphs, svg: the elites' graphs into graphs/, as JSON or as drawings."""
    class_name: Annotated[str | None, tyro.conf.arg(name="class")] = None
    """graphs, svg: of this class only: its index, WNID or label, such as 291, n02129165 or lion."""


def export_run(config: ExportConfig, *, console: Console) -> None:
    """Write what was asked for into the run directory.

    Raises:
      UserError: not a run directory, or in use, or one with neither archive nor checkpoint, or the
        weights are not those it was run with; graphs of an encoding without.
    """
    read_run(config.run)
    if config.class_name is not None and config.format not in ("graphs", "svg"):
        raise UserError(f"--class is of --format graphs and svg, not of {config.format}")
    where = config.run
    with sole_user(config.run):
        if config.format == "sheet":
            write_contact_sheet(config.run)
        elif config.format == "report":
            write_report(config.run)
        elif config.format == "all":
            _export_all(config.run, console)
        else:
            where = _export_graphs(config, console)
    console.print(f"wrote {config.format} into {where}")


def _planned(run_dir: Path) -> EvolvePlan:
    planned = plan(stored_config(run_dir))
    check_resumable(run_dir, planned)
    return planned


def _export_all(run_dir: Path, console: Console) -> None:
    planned = _planned(run_dir)
    newest = newest_state(run_dir, planned, console=console)
    state = newest.state
    facts: dict[str, Any] = {}
    if newest.seconds is not None:
        facts["seconds"] = round(newest.seconds, 3)
    if read_run(run_dir)["status"] == "paused" and int(state.generation) <= planned.generations:
        facts["status"] = "paused"
    run = read_run(run_dir)
    if run.get("kind", "evolution") != "evolution":
        # Read as an evolution's it looks finished: what it is, it has said itself.
        facts |= {k: run[k] for k in ("status", "evaluations", "generations_done") if k in run}
    if newest.genomes is not None:
        write_genome_log(run_dir, newest.genomes)
    difference = write_results(run_dir, planned, state, facts=facts)
    console.print(f"PNGs scored again: differ by at most {difference:.1g}")


def elite_graph(planned: EvolvePlan, state: EvolutionState, cell: int) -> dict[str, Any]:
    """An elite's genome as values for JSON, with where it comes from.

    Raises:
      UserError: its encoding has nothing to read in a genome.
    """
    if planned.encoding.describe is None:
        raise UserError(f"the {planned.encoding.name} encoding has no graphs")
    return planned.encoding.describe(state.archive.genomes, cell) | {
        "origin": {
            "model": planned.scorer.name,
            "weights_sha256": planned.scorer.weights_sha256,
            "mean_sha256": planned.record.get("mean_sha256"),
            "precision": planned.config.precision,
            "class_index": cell,
            "label": planned.scorer.class_names[cell],
            "crops": planned.map_elites.crops,
            "confidence": float(confidence_of(np.asarray(state.archive.fitness)[cell])),
            "id": int(np.asarray(state.archive.id)[cell]),
            "born_generation": int(np.asarray(state.archive.born)[cell]),
        }
    }


def _export_graphs(config: ExportConfig, console: Console) -> Path:
    planned = _planned(config.run)
    state = newest_state(config.run, planned, console=console).state
    if config.class_name is None:
        cells = [int(cell) for cell in np.flatnonzero(np.asarray(state.archive.occupied))]
    else:
        cells = [find_cell(planned, state, config.class_name)]
    graphs = [elite_graph(planned, state, cell) for cell in cells]
    folder = config.run / "graphs"
    folder.mkdir(exist_ok=True)
    for cell, graph in zip(cells, graphs, strict=True):
        path = folder / png_name(cell, planned.scorer.class_names[cell])
        if config.format == "graphs":
            write_json(path.with_suffix(".json"), graph)
        else:
            write_graph_svg(path.with_suffix(".svg"), graph)
    return folder
