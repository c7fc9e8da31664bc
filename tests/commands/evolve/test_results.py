"""What an evolution writes: the scored bytes, the log of insertions, the counts."""

import json

import numpy as np
import pytest
from PIL import Image
from run_files import archive, rows_of

from qd_fool.cli import main
from qd_fool.commands.evolve.results import facts_of
from qd_fool.files import read_npz
from qd_fool.runs.lineage import read_lineage
from qd_fool.runs.metrics import METRICS, read_metrics


def test_metrics_count_evaluations_and_never_fall(run_dir):
    lines = (run_dir / "metrics.csv").read_text().splitlines()
    assert lines[0] == ",".join(METRICS)
    assert lines[0].startswith(
        "generation,evaluations,seconds,median_confidence,mean_confidence,min_confidence,"
        "max_confidence,cells_over_99,replacements,distinct"
    )
    metrics = read_metrics(run_dir)
    assert list(metrics["generation"]) == list(range(7))
    assert list(metrics["evaluations"]) == [20 * (g + 1) for g in range(7)]
    for name in ("seconds", "min_confidence", "max_confidence", "mean_confidence", "replacements"):
        assert np.all(np.diff(metrics[name]) >= 0), name


def test_pngs_are_the_scored_bytes_and_score_the_same_again(run_dir, capsys):
    genomes, rows = archive(run_dir)["archive.genomes"], rows_of(run_dir, "elites.csv")
    assert len(rows) == 10
    for row in rows:
        with Image.open(run_dir / row["png"]) as image:
            pixels = np.asarray(image)
        np.testing.assert_array_equal(pixels.ravel(), genomes[int(row["class_index"])])
    capsys.readouterr()
    pngs = [str(run_dir / row["png"]) for row in rows]
    assert main(["score", *pngs, "--model", "lenet", "--top", "10", "--json"]) == 0
    output = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    for row, line in zip(rows, output, strict=True):
        by_class = {t["class_index"]: t["confidence"] for t in line["top"]}
        again = by_class[int(row["class_index"])]
        assert abs(again - float(row["confidence"])) <= 1e-5
        assert json.loads(row["top5"])[0][0] == line["top"][0]["class_index"]


def test_lineage_ends_in_the_archive(run_dir):
    events, final = read_lineage(run_dir), archive(run_dir)
    assert np.all(np.diff(events["generation"]) >= 0)
    for cell in range(10):
        last = np.flatnonzero(events["class_index"] == cell)[-1]
        assert events["id"][last] == final["archive.id"][cell]
        assert events["parent_id"][last] == final["archive.parent_id"][cell]
        assert events["fitness"][last] == final["archive.fitness"][cell]
        assert events["generation"][last] == final["archive.born"][cell]
    known = set(events["id"]) | {-1}
    assert set(events["parent_id"]) <= known
    kept = read_npz(run_dir / "genomes.npz")
    rows = np.searchsorted(kept["id"], final["archive.id"])
    np.testing.assert_array_equal(kept["genomes"][rows], final["archive.genomes"])
    assert set(kept["parent_id"]) <= set(kept["id"]) | {-1}


@pytest.mark.parametrize(
    ("done", "ended", "status"),
    [
        (0, False, "interrupted"),
        (3, False, "interrupted"),
        (3, True, "finished"),  # its evaluations are spent
        (4, False, "finished"),
    ],
)
def test_how_far_a_run_is(done, ended, status):
    state = type("State", (), {"generation": np.int32(done)})()
    found = facts_of(state, generations=3, evaluations=10 * done, ended=ended)
    assert tuple(found.values()) == (status, done - 1, 10 * done)
