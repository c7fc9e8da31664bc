"""The files of an ascent: those of any run directory, and those of an ascent alone."""

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
from qd_fool.commands.common.record import close_record, write_archive_and_elites
from qd_fool.files import write_npz
from qd_fool.map_elites.state import EvolutionState, init
from qd_fool.runs.lineage import Events, write_lineage
from qd_fool.runs.metrics import METRICS, append_metrics, truncate_metrics
from qd_fool.scoring.confidence import confidence_of, log_odds_of


@dataclasses.dataclass(frozen=True, eq=False)
class BestSoFar:
    """The best picture of each target class, up to each iteration.

    Attributes:
      cells: Target classes, ascending.
      log_odds: Log-odds of the best picture.
      target: Target that made the best picture.
      risen: Whether the iteration made a better picture.
    """

    cells: Int[np.ndarray, " cells"]
    log_odds: Float[np.ndarray, "iterations cells"]
    target: Int[np.ndarray, "iterations cells"]
    risen: Bool[np.ndarray, "iterations cells"]


def write_ascent(
    run_dir: Path,
    planned: AscendPlan,
    targets: Int[np.ndarray, " n"],
    result: AscentResult,
    *,
    status: str,
    seconds: float,
) -> tuple[list[dict[str, Any]], float]:
    """Write all files of a run directory, and those of an ascent.

    Args:
      run_dir: Directory of the run, with a `run.json`.
      planned: Plan of the ascent.
      targets: Targets that are finished, ascending.
      result: Result of these targets.
      status: "finished" or "interrupted".
      seconds: Run time so far.

    Returns:
      Rows of the table, and the largest difference between an elite's confidence and that of its
      PNG, read from disk.
    """
    classes, starts = planned.classes[targets], planned.starts[targets]

    # The files of any run: archive, pictures, metrics and lineage.
    difference = write_archive_and_elites(
        run_dir, planned.subject, archive_state(planned, targets, result)
    )
    best = best_so_far(planned, targets, result)
    write_metrics(run_dir, best, targets=len(targets), seconds=seconds)
    write_lineage(run_dir, lineage_of(best, targets=len(planned.classes)))

    # The files of an ascent: the table, its logs, and the paper's display.
    rows = table_rows(result, classes, starts, planned.subject.scorer.class_names)
    write_table(run_dir, rows)
    arrays = {name: getattr(result, name) for name in ("log_odds", "merit", "top")}
    write_npz(run_dir / "ascent.npz", {"class_index": classes, "start": starts} | arrays)
    write_displays(run_dir, planned.subject)

    facts = {
        "status": status,
        "seconds": seconds,
        "generations_done": 0,
        "evaluations": evaluations_of(planned.ascent.iterations, len(targets)),
    }
    close_record(run_dir, facts, difference=difference)
    return rows, difference


def archive_state(
    planned: AscendPlan, targets: Int[np.ndarray, " n"], result: AscentResult
) -> EvolutionState:
    """An archive whose cells hold the best result of each target class.

    An elite's birth is the iteration that made it. It has no parent. Its id is
    `iteration * number of targets + target`.

    Args:
      planned: Plan of the ascent.
      targets: Targets that are finished.
      result: Result of these targets.
    """
    subject, total = planned.subject, len(planned.classes)
    cells = len(subject.scorer.class_names)
    blank = jax.device_get(init(subject.encoding, cells, seed=planned.config.seed))
    classes = planned.classes[targets]
    best = best_of_classes(classes, result.merit.max(axis=0))
    held = classes[best]

    def put(into: Any, values: Any) -> np.ndarray:
        filled = np.array(into)
        filled[held] = values
        return filled

    archive, born = blank.archive, result.best_iteration[best]
    archive = dataclasses.replace(
        archive,
        genomes=jax.tree.map(lambda a, b: put(a, b[best]), archive.genomes, result.genomes),
        fitness=put(archive.fitness, result.best_log_odds[best]),
        id=put(archive.id, born * total + targets[best]),
        born=put(archive.born, born),
    )
    return dataclasses.replace(blank, archive=archive, generation=np.int32(1))


def best_of_classes(
    classes: Int[np.ndarray, " n"], merit: Float[np.ndarray, " n"]
) -> Int[np.ndarray, " cells"]:
    """The best target of each class, in the order of classes; of equals, the first."""
    order = np.lexsort((np.arange(len(classes)), -merit, classes))
    return order[np.unique(classes[order], return_index=True)[1]]


def best_so_far(
    planned: AscendPlan, targets: Int[np.ndarray, " n"], result: AscentResult
) -> BestSoFar:
    """Follow each class's best picture through the iterations.

    Args:
      planned: Plan of the ascent.
      targets: Targets that are finished.
      result: Result of these targets.
    """
    # Per target: the best merit so far, and the log-odds of the iterate that had it.
    merit = np.where(np.isfinite(result.merit), result.merit, -np.inf)
    running = np.maximum.accumulate(merit, axis=0)
    new = np.diff(running, axis=0, prepend=-np.inf) > 0
    since = np.maximum.accumulate(np.where(new, np.arange(len(merit))[:, None], 0), axis=0)
    odds = np.take_along_axis(result.log_odds, since, axis=0)

    # Per class: the target that is ahead.
    classes = planned.classes[targets]
    cells = np.unique(classes)
    columns = [np.flatnonzero(classes == k) for k in cells]
    ahead = np.stack([each[running[:, each].argmax(axis=1)] for each in columns], axis=1)
    risen = np.diff(np.take_along_axis(running, ahead, axis=1), axis=0, prepend=-np.inf) > 0
    return BestSoFar(cells, np.take_along_axis(odds, ahead, axis=1), targets[ahead], risen)


def write_metrics(run_dir: Path, best: BestSoFar, *, targets: int, seconds: float) -> None:
    """Write `metrics.csv`: one row per iteration, over the target classes.

    Args:
      run_dir: Directory of the run.
      best: Best picture of each class.
      targets: Number of targets that are finished.
      seconds: Run time, which is spread evenly over the iterations.
    """
    confidence = confidence_of(best.log_odds)
    replacements = np.cumsum(best.risen[1:].sum(axis=1))
    iterations, cells = best.log_odds.shape
    rows = []
    for i in range(iterations):
        now = confidence[i]
        row = {
            "generation": i,
            "evaluations": evaluations_of(i + 1, targets),
            "seconds": f"{seconds * (i + 1) / iterations:.3f}",
            "median_confidence": f"{np.median(now):.9g}",
            "mean_confidence": f"{now.mean():.9g}",
            "min_confidence": f"{now.min():.9g}",
            "max_confidence": f"{now.max():.9g}",
            "cells_over_99": int((best.log_odds[i] >= log_odds_of(0.99)).sum()),
            "replacements": int(replacements[i - 1]) if i else 0,
            "distinct": cells,
            "occupied": cells,
            "refused_mutations": 0,
        }
        rows.append({name: row[name] for name in METRICS})
    truncate_metrics(run_dir, before=0)
    append_metrics(run_dir, rows)


def lineage_of(best: BestSoFar, *, targets: int) -> Events:
    """The lineage of an ascent: each better picture of a class, as an insertion.

    Args:
      best: Best picture of each class.
      targets: Number of all targets of the ascent.
    """
    iteration, column = np.nonzero(best.risen)
    none = np.full(len(iteration), -1, np.int32)
    odds = best.log_odds[iteration, column]
    return {
        "generation": iteration.astype(np.int32),
        "class_index": best.cells[column].astype(np.int32),
        "id": (iteration * targets + best.target[iteration, column]).astype(np.int32),
        "parent_id": none,
        "parent_class": none,
        "confidence": confidence_of(odds),
        "fitness": odds,
    }
