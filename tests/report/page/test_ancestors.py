"""Which ancestors are shown, against a walk in plain Python; and that their pictures are theirs."""

import base64
import io
import json

import numpy as np
import pytest
from PIL import Image
from synthetic_run import history, write_run

from qd_fool.report.page.ancestors import SHOWN, ancestor_thumbnails, shown_rows, stretches_of
from qd_fool.runs.families import family_of, rows_of
from qd_fool.runs.genomes import GenomeLog, write_genome_log

CLASSES = 30


@pytest.fixture(scope="module")
def line():
    """A family, and `(row, class)` of its living."""
    events, _, held = history(CLASSES, generations=60, seed=5)
    family = family_of(events)
    rows = rows_of(family, np.array([h[0] for h in held]))
    return family, list(zip(rows.tolist(), range(CLASSES), strict=True))


def walk(family, row, cell):
    """`[(cell, row), ...]` from an elite back to the first of its line."""
    found = []
    while row >= 0:
        found.append((cell, row))
        cell, row = int(family.parent_class[row]), int(family.parent[row])
    return found


def test_stretches_are_a_line_cut_where_its_cell_changes(line):
    family, living = line
    for row, cell in living:
        flat = walk(family, row, cell)
        stretches = stretches_of(family, row, cell)
        assert [r for rows in stretches for r in rows] == [r for _, r in flat]
        cells = [c for i, (c, _) in enumerate(flat) if i == 0 or flat[i - 1][0] != c]
        assert len(stretches) == len(cells)
    assert max(len(stretches_of(family, *elite)) for elite in living) > SHOWN + 2
    assert stretches_of(family, -1, 3) == []


def test_shown_are_the_newest_of_each_dead_stretch_and_the_first_of_each_line(line):
    family, living = line
    alive, wanted = {row for row, _ in living}, set()
    for row, cell in living:
        stretches = stretches_of(family, row, cell)
        wanted.add(stretches[-1][-1])
        wanted |= {rows[0] for rows in stretches[1:] if not alive & set(rows)}
    shown = shown_rows(family, [*living, (-1, 0)])
    assert len(shown) == len(set(shown.tolist()))
    assert set(shown.tolist()) == wanted


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run of gray pixels whose genomes say whose they are."""
    path = tmp_path_factory.mktemp("ancestors") / "run"
    events, _, _ = write_run(path, labels="abcdef", side=8, encoding="direct", graphs=False)
    run = json.loads((path / "run.json").read_text()) | {"image_shape": [8, 8, 1]}
    (path / "run.json").write_text(json.dumps(run))
    ids = np.unique(events["id"]).astype(np.int64)
    genomes = np.repeat((ids % 256).astype(np.uint8)[:, None], 64, axis=1)
    write_genome_log(path, GenomeLog(ids, ids * 0, genomes))
    return path


def family_and_living(run_dir):
    events = events_of(run_dir)
    family = family_of(events)
    newest = {int(c): int(i) for c, i in zip(events["class_index"], events["id"], strict=True)}
    rows = rows_of(family, np.array(list(newest.values())))
    return family, list(zip(rows.tolist(), newest, strict=True))


def events_of(run_dir):
    with np.load(run_dir / "lineage.npz") as file:
        return {name: file[name] for name in file.files}


def test_each_picture_is_that_of_its_ancestor(run_dir):
    family, living = family_and_living(run_dir)
    run = json.loads((run_dir / "run.json").read_text())
    found = ancestor_thumbnails(run_dir, run, family, living, budget=10**6)
    assert set(found) == set(shown_rows(family, living).tolist())
    for row, address in found.items():
        with Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))) as picture:
            assert set(np.asarray(picture).ravel().tolist()) == {int(family.id[row]) % 256}
    few = ancestor_thumbnails(run_dir, run, family, living, budget=300)
    assert list(few) == list(found)[: len(few)]
    assert 0 < len(few) < len(found)


def test_without_kept_genomes_there_are_none(run_dir, tmp_path):
    family, living = family_and_living(run_dir)
    run = json.loads((run_dir / "run.json").read_text())
    assert ancestor_thumbnails(tmp_path, run, family, living, budget=10**6) == {}
