"""The facts of a run for the report page, as values for JSON, read from the run directory."""

import json
import math
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from qd_fool.errors import UserError
from qd_fool.models.class_names import class_labels
from qd_fool.report.page.ancestors import ancestor_thumbnails
from qd_fool.report.page.curves import curves_of
from qd_fool.report.page.graphs import pack_graphs, read_genomes
from qd_fool.report.page.thumbnails import Look, histogram, pixels_of, thumbnails
from qd_fool.runs.elites import open_elite, read_elites
from qd_fool.runs.families import (
    depth_and_switches,
    family_of,
    is_switch,
    rows_of,
    subset,
    switch_share,
    with_ancestors,
)
from qd_fool.runs.lineage import Events, read_lineage
from qd_fool.runs.metrics import read_metrics
from qd_fool.runs.stored import open_run

SMALL = 4096
"""Most pixels of a direct genome, which is the picture itself, that the page holds as numbers."""


LATER = ("graphs", "genomes", "histograms", "pixels", "family", "ancestors")
"""Keys of a run's data that the page needs only where it shows an elite large."""


def run_data(run_dir: Path, *, page_dir: Path, budget: int, inside: bool = False) -> dict[str, Any]:
    """Return a run in the form that the page's script reads.

    Args:
      run_dir: Directory of a run that has ended or was stopped.
      page_dir: Directory of the page. The paths of full pictures are relative to it.
      budget: Characters that all thumbnails may take. If they can't, there are none, and the page
        shows the full pictures in their place.
      inside: Whether the page has thumbnails in any case.

    Raises:
      UserError: The directory is not a run directory, has no elites, or is damaged.
    """
    stored, rows = open_run(run_dir), read_elites(run_dir)
    run, ascent = stored.record, stored.kind == "ascent"
    metrics, events = read_metrics(run_dir), read_lineage(run_dir)
    elites = [_elite(run_dir, row) for row in rows]
    cells = [e["class"] for e in elites] if ascent else list(range(stored.classes))
    # Pictures are opened one by one when they are needed: a thousand would fill the memory.
    images = [partial(_open, run_dir, row["png"]) for row in rows]
    labels, wnids = class_labels(run, {e["class"]: e["label"] for e in elites})
    base = Path(os.path.relpath(run_dir.resolve(), page_dir.resolve())).as_posix()
    # An elite of an evolution may hold many cells.
    keys = None if ascent else [e["id"] for e in elites]
    small = thumbnails(images, budget=budget, inside=inside, keys=keys)
    for elite, thumbnail in zip(elites, small or (), strict=small is not None):
        elite |= {"thumb": thumbnail}
    return {
        "name": run_dir.resolve().name,
        "kind": "ascent" if ascent else "evolution",
        "networks": len(stored.networks),
        "generations": run.get("generations_done"),
        "shape": list(images[0]().size[::-1]) if images else [],
        "base": "" if base == "." else f"{base}/",
        "labels": list(labels),
        "wnids": list(wnids),
        "elites": elites,
        "curves": curves_of(metrics, events, cells=cells),
        **_lineage(run_dir, run, elites, None if ascent else events, budget=budget // 2),
        **_genomes(run_dir, run, elites, images),
    }


def _open(run_dir: Path, png: str) -> Image.Image:
    """Open a picture as gray or RGB."""
    image = open_elite(run_dir, png)
    return image if image.mode in ("L", "RGB") else image.convert("RGB")


def _elite(run_dir: Path, row: dict[str, str]) -> dict[str, Any]:
    try:
        top = [[int(k), float(p)] for k, p in json.loads(row["top5"])]
        whole = {
            "class": "class_index",
            "born": "born_generation",
            "id": "id",
            "parentId": "parent_id",
            "parentClass": "parent_class",
        }
        confidence, fitness = float(row["confidence"]), float(row["fitness"])
        if not all(map(math.isfinite, (confidence, fitness, *(p for _, p in top)))):
            raise ValueError("a number is not finite")
        return {
            **{name: int(row[column]) for name, column in whole.items()},
            "label": row["label"],
            "confidence": confidence,
            "fitness": fitness,
            "png": row["png"],
            "top": top,
        }
    except (ValueError, TypeError) as error:
        raise UserError(f"{run_dir / 'elites.csv'}: cannot be read ({error}) at {row}") from error


def _lineage(
    run_dir: Path,
    run: dict[str, Any],
    elites: Sequence[dict[str, Any]],
    events: Events | None,
    *,
    budget: int,
) -> dict[str, Any]:
    """Return the ancestors of all elites and their goal switches.

    Without a log of insertions, only the elites' own switches are known, from `elites.csv`.
    """
    classes = np.array([e["class"] for e in elites], np.int64)
    parents = np.array([e["parentClass"] for e in elites], np.int64)
    facts: dict[str, Any] = {"eliteSwitches": switch_share(parents, classes)}
    if events is None or not len(events["id"]):
        return facts

    # The elites and their ancestors, without lines that died out.
    family = family_of(events)
    rows = rows_of(family, np.array([e["id"] for e in elites], np.int64))
    family = subset(family, with_ancestors(family, rows))
    rows = rows_of(family, np.array([e["id"] for e in elites], np.int64))

    # Each elite's number of ancestors, and of goal switches up to its last insertion.
    depth, switches = depth_and_switches(family)
    for elite, row, last in zip(elites, rows, is_switch(parents, classes), strict=True):
        if row >= 0:
            elite |= {
                "row": int(row),
                "depth": int(depth[row]),
                "switches": int(switches[row]) + int(last),
            }
    lines = list(zip(rows.tolist(), classes.tolist(), strict=True))
    confidence = [None if math.isnan(p) else float(f"{p:.6g}") for p in family.parent_confidence]
    return facts | {
        "insertions": len(events["id"]),
        "insertionSwitches": switch_share(events["parent_class"], events["class_index"]),
        "family": {
            "id": family.id.tolist(),
            "generation": family.generation.tolist(),
            "parent": family.parent.tolist(),
            "parentClass": family.parent_class.tolist(),
            "parentConfidence": confidence,
        },
        "ancestors": ancestor_thumbnails(run_dir, run, family, lines, budget=budget),
    }


def _genomes(
    run_dir: Path,
    run: dict[str, Any],
    elites: Sequence[dict[str, Any]],
    images: Sequence[Look],
) -> dict[str, Any]:
    """Return graphs if the encoding has graphs, else histograms of the pixels."""
    described, why = read_genomes(run_dir, run, [elite["class"] for elite in elites])
    if described and all("nodes" in genome for genome in described):
        return {"graphs": pack_graphs(described)}
    if described:
        return {"genomes": described}
    found: dict[str, Any] = {"note": why, "histograms": [histogram(look()) for look in images]}
    first = images[0]() if images else None
    if first and first.width * first.height <= SMALL:
        found["pixels"] = [pixels_of(look()) for look in images]
        found["channels"] = len(first.getbands())
    return found
