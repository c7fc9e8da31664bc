"""Run directories made of plain files, as a run of any length would leave them; no network runs."""

import csv
import json
import math

import numpy as np
from PIL import Image

from qd_fool.models.labels import imagenet_labels
from qd_fool.runs.directory import SCHEMA
from qd_fool.runs.elites import ELITES
from qd_fool.runs.lineage import LINEAGE
from qd_fool.runs.metrics import METRICS

BATCH = 50


def history(classes, *, generations=12, seed=0):
    """Insertions as an evolution logs them, and each generation's confidences `(n, classes)`."""
    rng = np.random.default_rng(seed)
    held = [None] * classes
    rows, confidences = [], []
    for generation in range(generations + 1):
        winners, parents = [], {}
        for cell in range(classes):
            # A few children win several cells; all cells are won at first.
            child = generation * BATCH + int(rng.integers(0, BATCH))
            if generation == 0 or rng.random() < 0.3:
                winners.append((cell, child))
                parents.setdefault(child, int(rng.integers(0, classes)))
        before = list(held)
        for cell, child in winners:
            found = parents[child]
            parent = (-1, -1) if generation == 0 else (before[found][0], found)
            old = -4.0 if held[cell] is None else held[cell][1]
            fitness = np.float32(old + rng.random())
            held[cell] = (child, fitness, generation, *parent)
            confidence = 1 / (1 + math.exp(-fitness))
            rows.append((generation, cell, child, *parent, confidence, fitness))
        confidences.append([1 / (1 + math.exp(-h[1])) for h in held])
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    events = dict(zip(LINEAGE, columns, strict=True))
    return events, np.array(confidences), held


def graph_arrays(classes, *, seed=0):
    """Genomes of a CPPN, as archive.npz holds them: a hidden node between inputs and outputs."""
    rng = np.random.default_rng(seed)
    nodes, edges = 64, 160
    source, target = (
        np.zeros((classes, edges), np.int16),
        np.full((classes, edges), nodes, np.int16),
    )
    source[:, :7], target[:, :7] = [0, 1, 2, 4, 4, 4, 3], [4, 4, 4, 61, 62, 63, 63]
    weight = np.zeros((classes, edges), np.float32)
    weight[:, :7] = rng.normal(size=(classes, 7)) * 3
    return {
        "archive.genomes.activation": rng.integers(0, 4, (classes, nodes)).astype(np.int16),
        "archive.genomes.source": source,
        "archive.genomes.target": target,
        "archive.genomes.weight": weight,
        "archive.genomes.hidden": np.ones(classes, np.int32),
        "archive.genomes.refused": np.zeros(classes, np.int32),
    }


def picture(side, *, seed):
    """Waves, in colour: as hard to pack as a CPPN's picture."""
    x, y = np.meshgrid(np.arange(side), np.arange(side))
    rng = np.random.default_rng(seed)
    planes = [np.sin(x * a + y * b + c) for a, b, c in rng.normal(size=(3, 3))]
    return Image.fromarray((127 + 127 * np.stack(planes, -1)).astype(np.uint8))


def write_run(
    path, *, labels=None, side=32, seed=0, encoding="cppn", kind="evolution", graphs=True
):
    """Write `run.json`, CSVs, `lineage.npz`, pictures and, if asked for, genomes."""
    labels = list(labels or imagenet_labels()[1])
    (path / "elites").mkdir(parents=True)
    events, confidences, held = history(len(labels), seed=seed)
    np.savez_compressed(path / "lineage.npz", **events)
    if graphs:
        np.savez_compressed(path / "archive.npz", **graph_arrays(len(labels), seed=seed))
    for k in range(min(20, len(labels))):
        picture(side, seed=seed * 100 + k).save(path / "elites" / f"{k:04d}.png")
    with (path / "elites.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(ELITES)
        for k, (child, fitness, born, parent, cell) in enumerate(held):
            p = confidences[-1, k]
            top = [[k, p], *([(k + i) % len(labels), (1 - p) / 4] for i in range(1, 5))]
            png = f"elites/{k % 20:04d}.png"
            writer.writerow(
                (k, labels[k], p, fitness, born, child, parent, cell, png, json.dumps(top))
            )
    with (path / "metrics.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(METRICS)
        for g, row in enumerate(confidences):
            shown = (np.median(row), row.mean(), row.min(), row.max())
            sure, replaced = int((row >= 0.99).sum()), int((events["generation"] <= g).sum())
            counts = (sure, replaced - len(labels), len(labels), len(labels), 0)
            writer.writerow((g, (g + 1) * BATCH, g * 0.5, *shown, *counts))
    record = {
        "schema": SCHEMA,
        "status": "finished",
        "kind": kind,
        "config": {"model": "lenet", "encoding": encoding, "seed": seed, "run_dir": str(path)},
        "ascent": {"parametrization": "pixels", "preset": "adam"},
        "encoding_settings": {"color": "hsv"} if encoding == "cppn" else {},
        "image_shape": [side, side, 3],
        "classes": len(labels),
        "generations_done": len(confidences) - 1,
        "evaluations": len(confidences) * BATCH,
        "seconds": 75.0,
        "device": {"kind": "cpu", "platform": "cpu", "count": 1},
        "versions": {"qd-fool": "0"},
    }
    (path / "run.json").write_text(json.dumps(record))
    return events, confidences, held
