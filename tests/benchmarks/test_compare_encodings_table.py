"""The table and plot of benchmarks/compare_encodings.py, from lines made here."""

import importlib.util
import math

import numpy as np
import pytest
from paths import BENCHMARKS
from PIL import Image

SCRIPT = BENCHMARKS / "compare_encodings_table.py"


@pytest.fixture(scope="module")
def table():
    spec = importlib.util.spec_from_file_location("compare_encodings_table", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def record(setting, *, seed, last):
    """A run of two cells whose median climbs straight from 0 to `last`."""
    curve = [[100 * (i + 1), last * i / 4, 0] for i in range(5)]
    return {
        "model": "lenet",
        "setting": setting,
        "fields": {"encoding": "direct"},
        "seed": seed,
        "budget": 500,
        "evaluations": 500,
        "cells": [last - 1, last + 1],
        "cells >= .99": 1,
        "distinct": 2,
        "seconds": 1.0,
        "curve": curve,
        "machine": "none",
        "date": "2026-01-01",
    }


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.5, "0.5000"), (0.9987, "0.9987"), (1 - 8.8e-7, "1 - 8.8e-7"), (1.5e-12, "1.5e-12")],
)
def test_confidences_near_0_and_1_are_told_as_a_distance(table, p, said):
    assert table.confidence(math.log(p) - math.log1p(-p)) == said


def test_a_row_tells_medians_over_seeds_and_how_many_got_there(table):
    baseline = [record("direct", seed=s, last=1.0 + s) for s in range(3)]
    better = [record("direct, SBX", seed=s, last=4.0 + s) for s in range(3)]
    row = table.row("direct, SBX", better, baseline)
    assert row["median"] == table.confidence(np.median([3, 5, 4, 6, 5, 7]))
    assert row["by seed"] == f"{table.confidence(4)} to {table.confidence(6)}"
    assert row["against"] == "p 0.1, effect 1.00"  # 2 of the 20 ways to split six values
    assert row["median .99 at"] == "500 (2)"  # log 99 = 4.6: at 500 of 5, at 500 of 6, never
    assert table.row("direct", baseline, baseline)["against"] == "-"


def test_table_and_plot_are_written(table, tmp_path):
    names = ["direct", "direct, SBX", "CPPN"]
    runs = [record(n, seed=s, last=2.0 + i + s) for i, n in enumerate(names) for s in range(2)]
    table.write(runs, orders={"lenet": names}, out=tmp_path)
    text = (tmp_path / "compare_encodings.md").read_text(encoding="utf-8")
    assert [line.split(" | ")[0] for line in text.splitlines() if "| 2 | 500 |" in line] == [
        f"| {n}" for n in names
    ]
    with Image.open(tmp_path / "compare_encodings_lenet_500.webp") as picture:
        assert picture.width > 2 * picture.height
