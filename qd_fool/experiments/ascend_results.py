"""What an ascent leaves: its finished blocks while it runs, a run directory at the end."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from qd_fool.ascent import mean_picture
from qd_fool.ascent_blocks import AscentResult, evaluations_of, join_results
from qd_fool.elites import png_name, read_image, write_elites, write_image
from qd_fool.experiments.ascend_config import AscendPlan
from qd_fool.experiments.ascend_table import table_rows, write_table
from qd_fool.files import replacing, write_json
from qd_fool.map_elites import EvolutionState, init
from qd_fool.report.page import write_report
from qd_fool.runs import (
    METRICS,
    append_metrics,
    confidence_of,
    read_elites,
    read_npz,
    read_run,
    truncate_metrics,
    write_archive,
    write_lineage,
)

BLOCKS = "blocks"
DISPLAYS = "mean_subtracted"
_LOGS = tuple(f.name for f in dataclasses.fields(AscentResult) if f.name != "genomes")


def write_block(run_dir: Path, targets: Int[np.ndarray, " n"], result: AscentResult) -> None:
    """Keep a finished block, whole or not at all."""
    folder = run_dir / BLOCKS
    folder.mkdir(exist_ok=True)
    arrays = {name: getattr(result, name) for name in _LOGS}
    leaves = jax.tree.leaves(result.genomes)
    arrays |= {f"genomes.{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    with replacing(folder / f"{targets[0]:06d}.npz") as partial:
        np.savez_compressed(partial, targets=targets, **arrays)


def read_blocks(run_dir: Path, genomes: Any) -> tuple[Int[np.ndarray, " n"], AscentResult | None]:
    """Targets that are finished, ascending, and what came of them.

    Args:
      run_dir: of the ascent.
      genomes: anything with the structure of the genomes.

    Raises:
      UserError: a damaged file.
    """
    leaves, structure = jax.tree.flatten(genomes)
    # Those that a crash left half written begin with a dot.
    files = sorted((run_dir / BLOCKS).glob("[0-9]*.npz"))
    if not files:
        return np.empty(0, np.int32), None
    parts = [read_npz(path) for path in files]
    results = [
        AscentResult(
            genomes=jax.tree.unflatten(
                structure, [part[f"genomes.{i}"] for i in range(len(leaves))]
            ),
            **{name: part[name] for name in _LOGS},
        )
        for part in parts
    ]
    return np.concatenate([part["targets"] for part in parts]), join_results(results)


def drop_blocks(run_dir: Path) -> None:
    """The run directory proper holds it all by now."""
    for path in (run_dir / BLOCKS).glob("*.npz"):
        path.unlink()
    (run_dir / BLOCKS).rmdir()


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
                int((best[i] >= np.log(99.0)).sum()),
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


def beyond_the_mean(
    picture: UInt8[np.ndarray, "height width channels"], mean: Float[np.ndarray, " channels"]
) -> UInt8[np.ndarray, "height width channels"]:
    """The paper's display: the difference from the mean, 0 as middle gray, stretched to the range.

    Source: paper, figures 12-13; `saveimagescc` of the original code.
    """
    x = picture.astype(np.float64) - mean
    largest = np.abs(x).max()
    return np.round(127.5 + x * (127.5 / largest if largest else 0.0)).astype(np.uint8)


def write_displays(run_dir: Path, planned: AscendPlan) -> None:
    """Write `mean_subtracted/` beside `elites/`, under the same names."""
    folder = run_dir / DISPLAYS
    folder.mkdir(exist_ok=True)
    channels = planned.evolve.encoding.image_shape[2]
    mean = mean_picture(planned.evolve.scorer, channels)

    def write(row: dict[str, str]) -> None:
        picture = read_image(run_dir / row["png"], channels=channels)
        name = png_name(int(row["class_index"]), row["label"])
        write_image(folder / name, beyond_the_mean(picture, mean))

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, read_elites(run_dir)))


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
    with replacing(run_dir / "ascent.npz") as partial:
        np.savez_compressed(
            partial,
            class_index=classes,
            start=planned.starts[targets],
            log_odds=result.log_odds,
            merit=result.merit,
            top=result.top,
        )
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
