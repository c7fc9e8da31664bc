"""What an ascent writes: the files of a run directory, and its own."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from qd_fool.ascent.blocks import AscentResult, evaluations_of
from qd_fool.commands.ascend.displays import write_displays
from qd_fool.commands.ascend.plan import AscendPlan
from qd_fool.commands.ascend.table import table_rows, write_table
from qd_fool.files import write_json, write_npz
from qd_fool.map_elites.state import EvolutionState, init
from qd_fool.report.page.write import write_report
from qd_fool.runs.archive_npz import write_archive
from qd_fool.runs.directory import read_run
from qd_fool.runs.elites import write_elites
from qd_fool.runs.lineage import write_lineage
from qd_fool.runs.metrics import METRICS, append_metrics, truncate_metrics
from qd_fool.scoring.confidence import confidence_of, log_odds_of


def best_of_classes(
    classes: Int[np.ndarray, " n"], merit: Float[np.ndarray, " n"]
) -> Int[np.ndarray, " cells"]:
    """For each class, ascending, which target is the best; the first of equals."""
    order = np.lexsort((np.arange(len(classes)), -merit, classes))
    return order[np.unique(classes[order], return_index=True)[1]]


def archive_of(planned: AscendPlan, targets: Int[np.ndarray, " n"], result: AscentResult) -> Any:
    """An archive whose cells hold the best start of each class that was climbed.

    An elite is born at its iteration; its id tells iteration and target; it has no parent.
    """
    evolve, total = planned.evolve, len(planned.classes)
    cells = len(evolve.scorer.class_names)
    blank = jax.device_get(init(evolve.encoding, cells, seed=planned.config.seed))
    classes = planned.classes[targets]
    best = best_of_classes(classes, result.merit.max(axis=0))
    held = classes[best]

    def put(into: Any, values: Any) -> np.ndarray:
        filled = np.array(into)
        filled[held] = values
        return filled

    archive = blank.archive
    born = result.best_iteration[best]
    archive = dataclasses.replace(
        archive,
        genomes=jax.tree.map(lambda a, b: put(a, b[best]), archive.genomes, result.genomes),
        fitness=put(archive.fitness, result.best_log_odds[best]),
        id=put(archive.id, born * total + targets[best]),
        born=put(archive.born, born),
    )
    return dataclasses.replace(blank, archive=archive, generation=np.int32(1))


def best_so_far(
    planned: AscendPlan, targets: Int[np.ndarray, " n"], result: AscentResult
) -> tuple[
    Float[np.ndarray, "iterations cells"],
    Int[np.ndarray, "iterations cells"],
    Bool[np.ndarray, "iterations cells"],
]:
    """Each class's best picture up to each iteration.

    Returns:
      Its log-odds, the target it is of, and whether it is a new one.
    """
    classes = planned.classes[targets]
    merit = np.where(np.isfinite(result.merit), result.merit, -np.inf)
    running = np.maximum.accumulate(merit, axis=0)
    new = np.diff(running, axis=0, prepend=-np.inf) > 0
    since = np.maximum.accumulate(np.where(new, np.arange(len(merit))[:, None], 0), axis=0)
    odds = np.take_along_axis(result.log_odds, since, axis=0)
    per_class = [np.flatnonzero(classes == k) for k in np.unique(classes)]
    which = np.stack([own[running[:, own].argmax(axis=1)] for own in per_class], axis=1)
    risen = np.diff(np.take_along_axis(running, which, axis=1), axis=0, prepend=-np.inf) > 0
    return np.take_along_axis(odds, which, axis=1), targets[which], risen


def write_metrics(
    run_dir: Path,
    planned: AscendPlan,
    best: Float[np.ndarray, "iterations cells"],
    risen: Bool[np.ndarray, "iterations cells"],
    *,
    targets: int,
    seconds: float,
) -> None:
    """`metrics.csv`: a row an iteration, over the classes that were climbed."""
    confidence = confidence_of(best)
    replacements = np.cumsum(risen[1:].sum(axis=1))
    iterations, cells = best.shape
    rows = []
    for i in range(iterations):
        now = confidence[i]
        shown = (np.median(now), now.mean(), now.min(), now.max())
        rows.append(
            (
                i,
                evaluations_of(i + 1, targets),
                f"{seconds * (i + 1) / iterations:.3f}",
                *(f"{value:.9g}" for value in shown),
                int((best[i] >= log_odds_of(0.99)).sum()),
                int(replacements[i - 1]) if i else 0,
                cells,
                cells,
                0,
            )
        )
    assert len(rows[0]) == len(METRICS)  # noqa: S101
    truncate_metrics(run_dir, before=0)
    append_metrics(run_dir, rows)


def lineage_of(
    planned: AscendPlan,
    cells: Int[np.ndarray, " cells"],
    best: Float[np.ndarray, "iterations cells"],
    which: Int[np.ndarray, "iterations cells"],
    risen: Bool[np.ndarray, "iterations cells"],
) -> dict[str, np.ndarray]:
    """Each time that a class's picture got better, as an evolution's insertions."""
    iteration, column = np.nonzero(risen)
    none = np.full(len(iteration), -1, np.int32)
    target = which[iteration, column]
    return {
        "generation": iteration.astype(np.int32),
        "class_index": cells[column].astype(np.int32),
        "id": (iteration * len(planned.classes) + target).astype(np.int32),
        "parent_id": none,
        "parent_class": none,
        "confidence": confidence_of(best[iteration, column]),
        "fitness": best[iteration, column],
    }


def write_ascent(
    run_dir: Path,
    planned: AscendPlan,
    targets: Int[np.ndarray, " n"],
    result: AscentResult,
    *,
    facts: dict[str, Any],
) -> tuple[list[dict[str, Any]], EvolutionState, float]:
    """Write all files of a run directory, and those of an ascent.

    Args:
      run_dir: with a `run.json`.
      planned: of the ascent.
      targets: those that are finished, ascending.
      result: what came of them.
      facts: for `run.json`; `seconds` among them.

    Returns:
      Rows of the table, the state that was written, and the largest difference between an elite's
      confidence and that of its PNG, read from disk.
    """
    classes = planned.classes[targets]
    state = archive_of(planned, targets, result)
    write_archive(run_dir, state)
    difference = write_elites(
        run_dir,
        state,
        scorer=planned.evolve.scorer,
        encoding=planned.evolve.encoding,
        score=planned.evolve.score,
        chunk=planned.ascent.chunk,
    )
    best, which, risen = best_so_far(planned, targets, result)
    write_metrics(run_dir, planned, best, risen, targets=len(targets), seconds=facts["seconds"])
    write_lineage(run_dir, lineage_of(planned, np.unique(classes), best, which, risen))
    rows = table_rows(result, classes, planned.starts[targets], planned.evolve.scorer.class_names)
    write_table(run_dir, rows)
    arrays = {name: getattr(result, name) for name in ("log_odds", "merit", "top")}
    named = {"class_index": classes, "start": planned.starts[targets]}
    write_npz(run_dir / "ascent.npz", named | arrays)
    write_displays(run_dir, planned)
    facts = {
        **facts,
        "generations_done": 0,
        "evaluations": evaluations_of(planned.ascent.iterations, len(targets)),
        "png_rescored_max_difference": difference,
    }
    write_json(run_dir / "run.json", read_run(run_dir) | facts)
    write_report(run_dir)
    return rows, state, difference
