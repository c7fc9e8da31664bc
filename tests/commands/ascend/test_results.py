"""What an ascent writes: the table, the logs and the files of any run agree."""

import numpy as np
from paths import ARCHIVES
from run_files import record, rows_of

from qd_fool.commands.ascend.results import best_of_classes
from qd_fool.files import read_npz
from qd_fool.registry import all_settings
from qd_fool.runs.lineage import read_lineage
from qd_fool.runs.metrics import read_metrics


def test_every_digit_is_reached_from_noise(digits):
    elites = rows_of(digits, "elites.csv")
    assert [row["class_index"] for row in elites] == [str(k) for k in range(10)]
    assert all(float(row["confidence"]) >= 0.9999 for row in elites)
    run = record(digits)
    assert (run["status"], run["kind"]) == ("finished", "ascent")
    assert run["png_rescored_max_difference"] <= 1e-6
    assert run["evaluations"] == 20 * 40 * 4


def test_older_versions_take_it_for_an_evolution_that_is_over(digits):
    run = record(digits)
    config = run["config"]
    assert (config["model"], config["encoding"], config["chunk"]) == ("lenet", "direct", 5)
    assert (run["generations"], config["generations"], config["batch_size"]) == (0, 0, 20 * 160)
    assert config["weights_sha256"] == run["ascent"]["weights_sha256"]
    # Nothing is missing that an evolution has, but settings of what it does not use.
    other = record(ARCHIVES / "mnist_ascent")
    unused = {name for setting in all_settings() for name in setting.names}
    assert set(other["config"]) - unused <= set(config)
    assert {"genes", "color", "mutation_rate"} <= set(config)
    assert set(other) <= set(run)
    assert set(other["ascent"]) <= set(run["ascent"])


def test_the_table_and_the_logs_agree(digits):
    table, trace = rows_of(digits, "ascent.csv"), read_npz(digits / "ascent.npz")
    assert [(row["class_index"], row["start"]) for row in table] == [
        (str(k), str(s)) for k in range(10) for s in range(2)
    ]
    for i, row in enumerate(table):
        reached = np.flatnonzero(trace["log_odds"][:, i] >= np.log(9999))
        assert row["first_9999"] == (str(reached[0]) if reached.size else "")
        assert row["first_top"] == str(np.flatnonzero(trace["top"][:, i])[0])
        assert int(row["best_iteration"]) == trace["log_odds"][:, i].argmax()
    for elite in rows_of(digits, "elites.csv"):
        of_class = [r for r in table if r["class_index"] == elite["class_index"]]
        best = max(of_class, key=lambda row: float(row["best_log_odds"]))
        assert float(elite["fitness"]) == float(best["best_log_odds"])
        assert elite["born_generation"] == best["best_iteration"]


def test_metrics_have_a_row_an_iteration(digits):
    metrics, trace = read_metrics(digits), read_npz(digits / "ascent.npz")["log_odds"]
    np.testing.assert_array_equal(metrics["evaluations"], 20 * 4 * np.arange(1, 41))
    best = np.maximum.accumulate(trace, axis=0).reshape(40, 10, 2).max(axis=2)
    wanted = np.median(1 / (1 + np.exp(-best.astype(np.float64))), axis=1)
    np.testing.assert_allclose(metrics["median_confidence"], wanted, rtol=1e-6)
    lineage = read_lineage(digits)
    assert metrics["replacements"][-1] == len(lineage["generation"]) - 10


def test_the_best_start_of_a_class_and_the_first_of_equals():
    merit = np.float32([1, 3, 3, -np.inf, 0])
    assert best_of_classes(np.array([5, 5, 5, 2, 2]), merit).tolist() == [4, 1]
