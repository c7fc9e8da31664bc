"""`qd-fool export`: write a run's files again, or its graphs."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from qd_fool.archive import ClassArchive
from qd_fool.commands.common.record import close_record, write_archive_and_elites
from qd_fool.commands.common.subject import Subject, stored_subject
from qd_fool.commands.config import ExportConfig
from qd_fool.commands.evolve.newest import find_cell, read_newest
from qd_fool.commands.evolve.plan import map_elites_config
from qd_fool.commands.evolve.results import facts_of
from qd_fool.commands.evolve.resume import stored_config
from qd_fool.errors import UserError
from qd_fool.files import write_json
from qd_fool.map_elites.evaluations import evaluations_so_far
from qd_fool.map_elites.state import EvolutionState
from qd_fool.report.graph_svg import write_graph_svg
from qd_fool.report.page.write import write_report
from qd_fool.report.sheet import write_contact_sheet
from qd_fool.runs.directory import InUseError, make_run_dir, names_in, sole_user
from qd_fool.runs.elites import png_name
from qd_fool.runs.genomes import write_genome_log
from qd_fool.runs.snapshot import readable, write_snapshot
from qd_fool.runs.stored import StoredRun, open_run
from qd_fool.scoring.confidence import confidence_of


def export_run(config: ExportConfig, *, console: Console) -> None:
    """Write the files of a format into the run directory, or into another.

    Raises:
      UserError: The directory is not a run, is in use, or has neither archive nor checkpoint; the
        other directory is not empty; the weights are not those of the run; or its encoding has no
        graphs.
    """
    run = open_run(config.run)
    if config.class_name is not None and config.format not in ("graphs", "svg"):
        raise UserError(
            f"--class applies only to --format graphs and svg; --format is {config.format}"
        )
    if config.out is None:
        try:
            with sole_user(config.run):
                where = _export(run, config, config.run, console)
        except InUseError as error:
            raise UserError(f"{error}: expected --out, a directory to write instead") from error
    else:
        if config.format == "all" and names_in(config.out, flag="--out"):
            raise UserError(f"--out {config.out} is not empty: expected a new directory for a run")
        make_run_dir(config.out, flag="--out")
        where = _export(run, config, config.out, console)
    console.print(f"wrote {config.format} into {where}")


def _export(run: StoredRun, config: ExportConfig, out: Path, console: Console) -> Path:
    """Write the files of a format into a directory, which may be the run's own."""
    if config.format == "all":
        _export_all(run, config, out, console)
        return out
    if config.format in ("graphs", "svg"):
        return _export_graphs(run, config, out, console)
    with readable(run.path) as source:
        if source.words:
            console.print(source.words)
        if config.format == "sheet":
            write_contact_sheet(source.path, out=out / "contact_sheet.png")
        elif out == run.path and not source.is_copy:
            write_report(run.path)
        else:
            write_report(source.path, out=out / "report.html", single_file=source.is_copy)
    return out


def _export_all(run: StoredRun, config: ExportConfig, out: Path, console: Console) -> None:
    """Write archive, pictures, report and status from the newest state."""
    if config.model not in (None, run.record["config"].get("model")):
        raise UserError(f"--model {config.model}: the network of {run.path} is another")
    subject = stored_subject(run, token_env=config.token_env)
    newest = read_newest(run, console=console)
    if out != run.path:
        write_snapshot(run, newest, out, pictures=False)
    # An ascent has recorded its own progress, which its blocks show.
    facts = _facts_of_evolution(run, newest.state) if run.kind == "evolution" else {}
    if newest.seconds is not None:
        facts["seconds"] = round(newest.seconds, 3)
    if newest.genomes is not None:
        write_genome_log(out, newest.genomes)
    difference = write_archive_and_elites(out, subject, newest.state)
    close_record(out, facts, difference=difference)
    console.print(f"PNGs scored again: differ by at most {difference:.1g}")


def _facts_of_evolution(run: StoredRun, state: EvolutionState) -> dict[str, Any]:
    """The status of a stored evolution and its progress, for `run.json`."""
    settings, encoding = map_elites_config(stored_config(run.path)), run.encoding()
    facts = facts_of(
        state,
        generations=run.record["generations"],
        evaluations=evaluations_so_far(state, settings, encoding=encoding),
        ended=run.record.get("status") == "finished",
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


def _export_graphs(run: StoredRun, config: ExportConfig, out: Path, console: Console) -> Path:
    subject = stored_subject(run)
    archive = read_newest(run, console=console).state.archive
    if config.class_name is None:
        cells = [int(cell) for cell in np.flatnonzero(np.asarray(archive.occupied))]
    else:
        cells = [find_cell(subject.scorer, archive, config.class_name)]
    graphs = [elite_graph(subject, archive, cell) for cell in cells]
    folder = out / "graphs"
    folder.mkdir(exist_ok=True)
    for cell, graph in zip(cells, graphs, strict=True):
        path = folder / png_name(cell, subject.scorer.class_names[cell])
        if config.format == "graphs":
            write_json(path.with_suffix(".json"), graph)
        else:
            write_graph_svg(path.with_suffix(".svg"), graph)
    return folder
