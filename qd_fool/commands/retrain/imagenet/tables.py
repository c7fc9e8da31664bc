"""Results of retraining on ImageNet: the table, the curves and some pictures, before and after.

Two runs are compared at the same number of counted evaluations, from their lineage.
"""

import math
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from qd_fool.commands.common.tables import markdown_table
from qd_fool.errors import UserError
from qd_fool.files import replacing, write_json, write_rows, write_text
from qd_fool.judge.statistics import mann_whitney, median_interval
from qd_fool.runs.directory import read_run
from qd_fool.runs.elites import open_elite, read_elites
from qd_fool.runs.lineage import read_lineage
from qd_fool.runs.metrics import read_metrics
from qd_fool.runs.snapshot import readable
from qd_fool.scoring.confidence import percent

CAVEAT = (
    "The photographs are few, and may be among those that the network was first trained on. So "
    "accuracy on held-out photographs checks that nothing broke; it is not a validation accuracy. "
    "Photographs are split by picture. With one photograph per class, the held-out classes have "
    "none to learn from, and only distillation keeps them. The training settings were chosen with "
    "SqueezeNet 1.1 on the held-out half of one such set, so the figures of that half are a little "
    "too good."
)


SHEET_CLASSES = 10
"""Pictures per network on the sheet."""


def evaluations_of(run_dir: Path) -> int:
    """Counted evaluations of a run so far.

    Raises:
      UserError: The directory holds no run.
    """
    return int(read_run(run_dir).get("evaluations") or 0)


def _events(run_dir: Path, *, classes: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Evaluations, class and confidence of each insertion into the first `classes` cells."""
    events, metrics = read_lineage(run_dir), read_metrics(run_dir)
    if events is None or not len(metrics["generation"]):
        raise UserError(f"{run_dir}: expected a run with lineage.npz and metrics.csv")
    # The log may leave out some generations; all generations cost the same.
    spent = np.interp(events["generation"], metrics["generation"], metrics["evaluations"])
    reported = events["class_index"] < classes
    return spent[reported], events["class_index"][reported], events["confidence"][reported]


def confidences_at(
    run_dir: Path, evaluations: int, *, classes: int
) -> Float[np.ndarray, " classes"]:
    """The confidence of each cell after some evaluations; 0 where a cell was empty.

    Args:
      run_dir: Directory of an evolution.
      evaluations: Counted evaluations.
      classes: How many cells to read, the first of the archive. The cell of fooling images behind
        them is left out.

    Raises:
      UserError: The directory holds no lineage.
    """
    spent, cell, confidence = _events(run_dir, classes=classes)
    best = np.zeros(classes)
    until = spent <= evaluations
    np.maximum.at(best, cell[until], confidence[until])
    return best


def median_curve(
    run_dir: Path, *, classes: int, points: int = 100
) -> tuple[Float[np.ndarray, " points"], Float[np.ndarray, " points"]]:
    """The median confidence over cells, and the counted evaluations at which it is read.

    Args:
      run_dir: Directory of an evolution.
      classes: How many cells to read, as in `confidences_at`.
      points: How many points the curve has.

    Returns:
      Evaluations, and medians.

    Raises:
      UserError: The directory holds no lineage.
    """
    spent, cell, confidence = _events(run_dir, classes=classes)
    best = np.zeros(classes)
    at = np.linspace(spent.min(), evaluations_of(run_dir), points)
    medians, start = [], 0
    for end in np.searchsorted(spent, at, side="right"):
        np.maximum.at(best, cell[start:end], confidence[start:end])
        medians.append(float(np.median(best)))
        start = end
    return at, np.asarray(medians)


def row_of(
    run_dir: Path, first: Path, *, evaluations: int, classes: int, network: str
) -> dict[str, Any]:
    """A row of the table: evolution against a network, and its comparison with the first network.

    Args:
      run_dir: Directory of the run against the network.
      first: Directory of the run against the first network.
      evaluations: Counted evaluations at which both runs are read.
      classes: Number of classes that are reported.
      network: Name of the network, for people.

    Raises:
      UserError: One of the two directories holds no lineage.
    """
    values = confidences_at(run_dir, evaluations, classes=classes)
    median, low, high = median_interval(values)
    row = {
        "network": network,
        "evaluations": evaluations,
        "median": median,
        "median_low": low,
        "median_high": high,
        "mean": float(values.mean()),
        "cells_over_99": int((values >= 0.99).sum()),
        "cells_over_9999": int((values >= 0.9999).sum()),
    }
    if run_dir == first:
        return row
    test = mann_whitney(confidences_at(first, evaluations, classes=classes), values)
    return row | {"mann_whitney_p": test["p"], "first_is_larger": test["effect"]}


def write_tables(
    run_dir: Path,
    rows: Sequence[dict[str, Any]],
    runs: Sequence[Path],
    *,
    classes: int,
    title: str,
    facts: dict[str, Any],
) -> None:
    """Write `retrain.json`, `.csv`, `.md`, `retrain_curves.png` and `retrain_pictures.png`.

    Args:
      run_dir: Directory to write to.
      rows: One row per network; the first network comes first, later ones have more columns.
      runs: Directory of the evolution against each network.
      classes: Number of classes that are reported.
      title: Title for people.
      facts: Facts for `retrain.json`; the page shows `photographs`, a sentence, and `command`.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    write_json(run_dir / "retrain.json", facts | {"caveat": CAVEAT, "rows": list(rows)})
    write_rows(run_dir / "retrain.csv", columns, rows)
    _write_curves(run_dir / "retrain_curves.png", rows, runs, classes=classes, title=title)
    with ExitStack() as stack:
        folders = [stack.enter_context(readable(run)).path for run in runs]
        _write_pictures(run_dir / "retrain_pictures.png", rows, folders, classes=classes)
    table = markdown_table(*cells_of(rows, classes=classes))
    lines = [f"# {title}", "", *table, "", facts["photographs"]]
    lines += ["", CAVEAT, "", f"Command: `{facts['command']}`"]
    lines += ["", "![](retrain_curves.png)", "", "![](retrain_pictures.png)"]
    write_text(run_dir / "retrain.md", lines)


def cells_of(rows: Sequence[dict[str, Any]], *, classes: int) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the cells of the table for people.

    Args:
      rows: Rows of the networks; the first network comes first.
      classes: Number of classes that are reported.
    """
    heads = [
        "network",
        f"median confidence, {classes:,} classes (95%)",
        "cells >= .99",
        "p, P(first larger)",
        "top-1 / top-5 on photographs held out",
        "photographs taken for fooling images",
        "fooling images caught: trained on / held out",
    ]
    body = []
    for row in rows:
        retrained = "mann_whitney_p" in row
        test = f"{row['mann_whitney_p']:.2g}, {row['first_is_larger']:.2f}" if retrained else "-"
        caught = f"{row.get('caught_trained', 0):.1%} / {row.get('caught_held_out', 0):.1%}"
        cells = [
            row["network"],
            f"{row['median']:.4f} ({row['median_low']:.4f} to {row['median_high']:.4f})",
            str(row["cells_over_99"]),
            test,
            f"{row['top1']:.1%} / {row['top5']:.1%}",
            f"{row['taken']:.1%}" if retrained else "-",
            caught if retrained else "-",
        ]
        body.append(cells)
    return heads, body


def _write_curves(
    path: Path,
    rows: Sequence[dict[str, Any]],
    runs: Sequence[Path],
    *,
    classes: int,
    title: str,
) -> None:
    """Plot the median confidence over counted evaluations, one line per network."""
    figure = Figure(figsize=(6.4, 4), dpi=150, layout="constrained")
    axes = figure.subplots()
    for row, run in zip(rows, runs, strict=True):
        at, median = median_curve(run, classes=classes)
        axes.plot(at, median, label=row["network"])
    axes.set(
        xlabel="evaluations", ylabel=f"median confidence, {classes:,} classes", title=title,
        ylim=(0, None), xlim=(0, None),
    )  # fmt: skip
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with replacing(path) as partial:
        figure.savefig(partial)


def _write_pictures(
    path: Path, rows: Sequence[dict[str, Any]], runs: Sequence[Path], *, classes: int
) -> None:
    """Draw one row of thumbnails per network: elites of the same classes, evenly spaced."""
    # Classes that have an elite in every run.
    found = [{int(e["class_index"]): e for e in read_elites(run)} for run in runs]
    common = sorted(set.intersection(*map(set, found)) & set(range(classes)))
    count = min(len(common), SHEET_CLASSES)
    chosen = [common[math.floor((i + 0.5) * len(common) / count)] for i in range(count)]

    # One row per run, below a line of words.
    side, margin, head, foot = 112, 8, 20, 34
    font = ImageFont.load_default(size=11)
    size = (count * (side + margin) + margin, len(runs) * (head + side + foot) + margin)
    sheet = Image.new("RGB", (max(size[0], 320), size[1]), "white")
    draw = ImageDraw.Draw(sheet)
    for j, (row, run, elites) in enumerate(zip(rows, runs, found, strict=True)):
        top = margin + j * (head + side + foot)
        words = f"evolved against {row['network']}, after {evaluations_of(run):,} evaluations"
        draw.text((margin, top), words, fill="black", font=font)
        for i, k in enumerate(chosen):
            x, y = margin + i * (side + margin), top + head
            image = open_elite(run, elites[k]["png"]).convert("RGB")
            sheet.paste(image.resize((side, side), Image.Resampling.LANCZOS), (x, y))
            name = elites[k]["label"].split(",")[0]
            while draw.textlength(name, font=font) > side:
                name = name.removesuffix("...")[:-1] + "..."
            caption = f"{name}\n{percent(float(elites[k]['confidence']))}"
            draw.multiline_text((x, y + side + 2), caption, fill="black", font=font, spacing=1)
    with replacing(path) as partial:
        sheet.save(partial)
