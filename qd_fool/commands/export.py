"""`qd-fool export`: write a run's files again, or its graphs."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from qd_fool.archive import ClassArchive
from qd_fool.commands.common.record import close_record, write_archive_and_elites
from qd_fool.commands.common.subject import Subject, stored_subject
from qd_fool.commands.config import ExportConfig
from qd_fool.commands.evolve.newest import find_cell, newest_state
from qd_fool.commands.evolve.plan import map_elites_config
from qd_fool.commands.evolve.results import facts_of
from qd_fool.commands.evolve.resume import stored_config
from qd_fool.errors import UserError
from qd_fool.files import write_json
from qd_fool.map_elites.config import counted_evaluations
from qd_fool.map_elites.state import EvolutionState
from qd_fool.report.graph_svg import write_graph_svg
from qd_fool.report.page.write import write_report
from qd_fool.report.sheet import write_contact_sheet
from qd_fool.runs.directory import sole_user
from qd_fool.runs.elites import png_name
from qd_fool.runs.genomes import write_genome_log
from qd_fool.runs.stored import StoredRun, open_run
from qd_fool.scoring.confidence import confidence_of


def export_run(config: ExportConfig, *, console: Console) -> None:
    """Write the files of a format into the run directory.

    Raises:
      UserError: The directory is not a run, is in use, or has neither archive nor checkpoint; the
        weights are not those of the run; or its encoding has no graphs.
    """
    run = open_run(config.run)
    if config.class_name is not None and config.format not in ("graphs", "svg"):
        raise UserError(
            f"--class applies only to --format graphs and svg; --format is {config.format}"
        )
    where = config.run
    with sole_user(config.run):
        if config.format == "sheet":
            write_contact_sheet(config.run)
        elif config.format == "report":
            write_report(config.run)
        elif config.format == "all":
            _export_all(run, config, console)
        else:
            where = _export_graphs(run, config, console)
    console.print(f"wrote {config.format} into {where}")


def _export_all(run: StoredRun, config: ExportConfig, console: Console) -> None:
    """Write archive, pictures, report and status from the newest state."""
    if config.model not in (None, run.record["config"].get("model")):
        raise UserError(f"--model {config.model}: the network of {run.path} is another")
    subject = stored_subject(run, token_env=config.token_env)
    newest = newest_state(run, console=console)
    # An ascent has recorded its own progress, which its blocks show.
    facts = _facts_of_evolution(run, newest.state) if run.kind == "evolution" else {}
    if newest.seconds is not None:
        facts["seconds"] = round(newest.seconds, 3)
    if newest.genomes is not None:
        write_genome_log(run.path, newest.genomes)
    difference = write_archive_and_elites(run.path, subject, newest.state)
    close_record(run.path, facts, difference=difference)
    console.print(f"PNGs scored again: differ by at most {difference:.1g}")


def _facts_of_evolution(run: StoredRun, state: EvolutionState) -> dict[str, Any]:
    """The status of a stored evolution and its progress, for `run.json`."""
    settings, encoding = map_elites_config(stored_config(run.path)), run.encoding()
    facts = facts_of(
        state,
        generations=run.record["generations"],
        evaluations=lambda generation: counted_evaluations(settings, generation, encoding=encoding),
    )
    if run.record["status"] == "paused" and facts["status"] == "interrupted":
        facts["status"] = "paused"
    return facts


def elite_graph(subject: Subject, archive: ClassArchive, cell: int) -> dict[str, Any]:
    """An elite's genome as values for JSON, with its origin.

    Args:
      subject: Network, encoding and scoring of the run.
      archive: Archive of the run.
      cell: Cell of the elite.

    Raises:
      UserError: The encoding has no graphs.
    """
    encoding, scorer = subject.encoding, subject.scorer
    if encoding.describe is None:
        raise UserError(f"the {encoding.name} encoding has no graphs")
    return encoding.describe(archive.genomes, cell) | {
        "origin": {
            "model": scorer.name,
            "weights_sha256": scorer.weights_sha256,
            "mean_sha256": subject.hashes.get("mean_sha256"),
            "precision": subject.networks.precision,
            "class_index": cell,
            "label": scorer.class_names[cell],
            "crops": subject.crops,
            "confidence": float(confidence_of(np.asarray(archive.fitness)[cell])),
            "id": int(np.asarray(archive.id)[cell]),
            "born_generation": int(np.asarray(archive.born)[cell]),
        }
    }


def _export_graphs(run: StoredRun, config: ExportConfig, console: Console) -> Path:
    subject = stored_subject(run)
    archive = newest_state(run, console=console).state.archive
    if config.class_name is None:
        cells = [int(cell) for cell in np.flatnonzero(np.asarray(archive.occupied))]
    else:
        cells = [find_cell(subject.scorer, archive, config.class_name)]
    graphs = [elite_graph(subject, archive, cell) for cell in cells]
    folder = run.path / "graphs"
    folder.mkdir(exist_ok=True)
    for cell, graph in zip(cells, graphs, strict=True):
        path = folder / png_name(cell, subject.scorer.class_names[cell])
        if config.format == "graphs":
            write_json(path.with_suffix(".json"), graph)
        else:
            write_graph_svg(path.with_suffix(".svg"), graph)
    return folder
