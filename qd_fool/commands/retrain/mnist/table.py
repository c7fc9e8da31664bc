"""The table of a retraining on MNIST: as CSV, JSON and Markdown, and on the terminal."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from qd_fool.commands.common.tables import markdown_table, text_table
from qd_fool.commands.retrain.mnist.files import EVOLVED, OTHER, Pictures
from qd_fool.commands.retrain.mnist.plan import RetrainPlan
from qd_fool.files import write_json, write_rows, write_text
from qd_fool.judge.statistics import median_interval
from qd_fool.scoring.confidence import percent

COLUMNS = (
    "network",
    "round",
    "test_error",
    "test_images",
    "training_images",
    "pictures",
    "median_confidence",
    "median_low",
    "median_high",
    "share_99",
    "evaluations_to_99",
    "caught",
    "caught_held_out",
    "caught_other",
    "other_median_confidence",
    "training_seconds",
    "evolution_seconds",
    "training_seed",
)
"""Columns of table.csv; table.json also lists the seeds of all evolutions."""


def columns_of(pictures: Pictures) -> dict[str, Any]:
    """Columns on the network's confidence in the pictures that were evolved against it.

    Args:
      pictures: Pictures of a round.
    """
    evolved, other = pictures.in_group(EVOLVED), pictures.in_group(OTHER)
    median, low, high = median_interval(evolved.confidence)
    times = np.where(evolved.evaluations_to_99 < 0, np.inf, evolved.evaluations_to_99)
    middle = float(np.median(times))
    return {
        "pictures": len(evolved.confidence),
        "median_confidence": median,
        "median_low": low,
        "median_high": high,
        "share_99": float(np.mean(evolved.confidence >= 0.99)),
        "evaluations_to_99": int(middle) if np.isfinite(middle) else None,
        "other_median_confidence": median_interval(other.confidence)[0]
        if len(other.confidence)
        else None,
    }


def write_tables(run_dir: Path, rows: Sequence[dict[str, Any]], planned: RetrainPlan) -> None:
    """Write `table.csv`, `table.json` (`{"rows": [...], ...}`) and `table.md`.

    Args:
      run_dir: Directory of the retraining.
      rows: One row per network.
      planned: Settings of the retraining.
    """
    write_rows(run_dir / "table.csv", COLUMNS, rows)
    notes = notes_of(planned)
    facts = {"rows": list(rows), "notes": notes, "settings": planned.record}
    write_json(run_dir / "table.json", facts)
    heads, body = cells_of(rows, other=planned.other_encoding)
    title = f"# LeNet retrained on MNIST and {planned.config.encoding} fooling images"
    write_text(run_dir / "table.md", [title, "", *markdown_table(heads, body), "", *notes])


def notes_of(planned: RetrainPlan) -> list[str]:
    """Notes on how to read the table, one line per note."""
    config, recipe = planned.config, planned.recipe
    runs = ", ".join(
        f"{evolution.evaluations(planned.generations[name]):,} ({name})"
        for name, evolution in planned.evolutions.items()
    )
    return [
        f"Each network is trained from scratch ({recipe.steps:,} steps of {recipe.batch_size}) on "
        "the 60,000 digits and the pictures evolved against all networks before it, as an "
        "eleventh class.",
        f"Median confidence: the median over {config.seeds * 10:,} pictures from {config.seeds} "
        "evolutions against the network of its confidence in the digit of their cell, scored again "
        "as saved. Brackets hold its 95% bootstrap interval over pictures.",
        "Evaluations to .99: the median over the same pictures.",
        "Caught: the share of pictures evolved against the network before that this network calls "
        "fooling images. Held out: the same share for pictures that it was not trained on, from "
        f"{config.held_out_seeds} other seeds per encoding.",
        f"Counted evaluations of each evolution, settings {config.preset}: {runs}.",
        f"Seeds: the distinct words of NumPy's SeedSequence([{config.seed}, round]); all are "
        "listed in table.json.",
    ]


def cells_of(rows: Sequence[dict[str, Any]], *, other: str) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of the table for people.

    Args:
      rows: One row per network.
      other: Encoding whose pictures no network was trained on.
    """
    heads = [
        "network",
        "test error",
        "training images",
        "median confidence",
        ">= .99",
        "evaluations to .99",
        "caught",
        "caught, held out",
        f"caught, {other}",
        f"median confidence, {other}",
    ]
    body = []
    for row in rows:
        low, high = row["median_low"], row["median_high"]
        evaluations = row["evaluations_to_99"]
        body.append(
            [
                row["network"],
                f"{row['test_error']:.2%}",
                f"{row['training_images']:,}",
                f"{percent(row['median_confidence'])} [{percent(low)}, {percent(high)}]",
                _share(row["share_99"]),
                "never" if evaluations is None else f"{evaluations:,}",
                _share(row["caught"]),
                _share(row["caught_held_out"]),
                _share(row["caught_other"]),
                _confidence(row["other_median_confidence"]),
            ]
        )
    return heads, body


def _share(value: float | None) -> str:
    """A share of pictures in per cent, rounded down: 100% means all of them."""
    return "-" if value is None else f"{math.floor(value * 1000 + 1e-9) / 10:g}%"


def _confidence(value: float | None) -> str:
    return "-" if value is None else percent(value)


def words_of(row: dict[str, Any]) -> str:
    """A row as one line of a log."""
    caught = "" if row["caught"] is None else f", catches {_share(row['caught'])} of the last"
    return (
        f"{row['network']}: test error {row['test_error']:.2%}{caught}; fooled with "
        f"{percent(row['median_confidence'])}; {row['training_seconds']:.0f} s training, "
        f"{row['evolution_seconds']:.0f} s evolution"
    )


def print_rows(console: Console, rows: Sequence[dict[str, Any]], *, other: str) -> None:
    """Print the table, without the columns that would make it too wide for a terminal."""
    heads, body = cells_of(rows, other=other)
    narrow = [0, 1, 2, 3, 6, 7, 8]
    for line in body:
        line[3] = line[3].split(" ")[0]
    rows_shown = [[line[i] for i in narrow] for line in body]
    console.print(text_table([heads[i] for i in narrow], rows_shown))
