"""Names from files, such as labels: no markup, formula, path or escape of theirs does anything."""

import csv
import dataclasses

import jax
import numpy as np
import pytest
from run_files import rows_of
from synthetic_run import write_run

from qd_fool.archive import empty_archive
from qd_fool.cli import main
from qd_fool.commands.common.tables import in_markdown, markdown_table
from qd_fool.encodings.base import genome_shapes
from qd_fool.files import cell_of, text_of, write_rows
from qd_fool.runs.elites import read_elites, write_unscored_table
from qd_fool.runs.stored import open_run

FORMULA = '=HYPERLINK("http://example.org","lion")'
HOSTILE = (
    FORMULA,
    "@SUM(A1)",
    "-2+3",
    "+cmd|' /C calc'!A0",
    "\t=1+1",
    "../../up",
    "<img src=x onerror=alert(1)>",
    "\x1b]0;owned\x07",
    "a|b`c`[d](javascript:alert(2))",
    "two\nlines",
)


@pytest.mark.parametrize("text", [*HOSTILE, "lion", "'quoted", "'=1", "", "-1", "1e5", "-"])
def test_cells_come_back(text):
    cell = cell_of(text)
    assert text_of(cell) == text
    number = text in ("-1", "1e5")
    assert number or not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell_of(-1.5) == -1.5


def test_tables_hold_text_and_runs_read_it_back(tmp_path):
    write_rows(tmp_path / "t.csv", ["label"], [{"label": name} for name in HOSTILE])
    with (tmp_path / "t.csv").open(newline="") as file:
        cells = [row["label"] for row in csv.DictReader(file)]
    assert cells[:5] == [f"'{name}" for name in HOSTILE[:5]]
    assert [text_of(cell) for cell in cells] == list(HOSTILE)

    run = tmp_path / "run"
    write_run(run, labels=HOSTILE, side=8)
    write_unscored_table(run, archive_of(run), HOSTILE)
    assert [row["label"] for row in read_elites(run)] == list(HOSTILE)
    assert rows_of(run, "elites.csv")[0]["label"] == f"'{FORMULA}"
    names = [row["png"] for row in read_elites(run)]
    assert all(name.startswith("elites/") and ".." not in name for name in names)


def archive_of(run):
    """An archive in whose cells blank genomes sit."""
    stored = open_run(run)
    shapes = jax.tree.map(
        lambda s: jax.ShapeDtypeStruct(s.shape[1:], s.dtype), genome_shapes(stored.encoding())
    )
    archive = jax.device_get(empty_archive(shapes, stored.classes))
    return dataclasses.replace(archive, fitness=np.zeros(stored.classes, np.float32))


def test_markdown_shows_text(tmp_path):
    for name in HOSTILE:
        (_, _, row) = markdown_table(["name"], [[in_markdown(name)]])
        assert "\n" not in row
        assert "\x1b" not in row
        assert row.count("|") - row.count("\\|") == 2
        for opening in "<[`":
            assert row.count(opening) == row.count(f"\\{opening}")


def test_the_console_shows_text(tmp_path, capsys):
    run = tmp_path / "run\x1b[31m"
    write_run(run, labels=HOSTILE, side=8)
    assert main(["report", str(run), "--out", str(tmp_path / "p\x1b[0m.html")]) == 0
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert r"p\x1b[0m.html" in said
    assert main(["render", str(run), "--class", "no\x1b[5m"]) == 2
    assert "\x1b" not in capsys.readouterr().err
