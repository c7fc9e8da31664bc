"""Figures of a transfer, and the page and the sheet that show them."""

import json

import numpy as np
from PIL import Image
from transfer_networks import picture, rows_of

from qd_fool.commands.transfer.figures import (
    FooledRow,
    NetworkRow,
    SourceRow,
    Summary,
    summary_json,
)
from qd_fool.commands.transfer.page import floored
from qd_fool.commands.transfer.sheet import write_sheet
from qd_fool.runs.pictures import write_image


def test_figures_of_a_run_shown_to_two_networks(ran):
    out, figures, printed = ran
    assert [network["name"] for network in figures["networks"]] == ["tiny-a", "tiny-b"]
    (source,) = figures["sources"]
    assert (source["kind"], source["seed"], source["networks"]) == ("evolution", 7, ["tiny-a"])
    assert source["scores_differ_from_recorded_by"] <= 1e-6
    assert len(rows_of(out)) == 3 * 2
    (pair,) = source["pairs"]
    assert pair["at"]["0.99"] == {
        "images": 3, "a": 2, "b": 2, "both": 2, "a_only": 0, "b_only": 0,
    }  # fmt: skip
    assert source["fool_both_at_99"] == [[2, 2], [2, 2]]
    assert [row["image"] for row in figures["fool_all"]] == [
        "elites/0001_c.png",
        "elites/0002_c.png",
    ]
    assert figures["chance"] == 0.001
    low, high = source["networks_fooled"]["tiny-b"]["interval_95"]
    assert low <= source["networks_fooled"]["tiny-b"]["median_confidence"] <= high
    assert "tiny-b (b.npz): 3 pictures in " in printed


def test_json_has_the_keys_of_every_version(ran):
    """Readers of `transfer.json` rely on names and order."""
    _, figures, _ = ran
    assert list(figures) == [
        "schema", "kind", "crops", "classes", "chance", "thresholds", "networks", "sources",
        "images", "fool_all", "notes", "command", "files",
    ]  # fmt: skip
    assert (figures["schema"], figures["kind"]) == (1, "transfer")
    assert list(figures["networks"][0]) == [
        "name", "model", "weights_sha256", "mean_sha256", "precision", "weights", "scored",
        "input_size", "images_enlarged", "enlarged_to",
    ]  # fmt: skip
    of_all = [
        "evaluations", "status", "images", "targets_told_by", "scores_differ_from_recorded_by",
        "networks_fooled", "pairs", "fool_both_at_99", "fool_all_at_99",
    ]  # fmt: skip
    assert list(figures["sources"][0]) == [
        "name", "path", "kind", "networks", "encoding", "seed", "crops", "joint", *of_all,
    ]  # fmt: skip
    assert list(figures["sources"][0]["networks_fooled"]["tiny-a"]) == [
        "median_confidence", "interval_95", "fooled", "argmax_is_target",
    ]  # fmt: skip
    assert list(figures["fool_all"][0]) == ["source", "image", "target_class", "least_confidence"]


def test_a_folder_has_no_facts_of_a_run():
    network = NetworkRow("n", "m", "0" * 64, "", "float32", "n.npz", True, 32, 0, None)
    source = SourceRow(
        name="f",
        path="f",
        kind="pictures",
        networks=(),
        run=None,
        images=1,
        targets_told_by={"nothing": 1},
        scores_differ_from_recorded_by=None,
        networks_fooled={"n": FooledRow(0.5, (0.4, 0.6), {"0.99": 0}, 1.0), "o": None},
        pairs=(),
        fool_both_at_99=((1, None), (None, None)),
        fool_all_at_99=0,
    )
    summary = Summary(1, 10, 0.1, (0.99,), (network,), (source,), 1, (), (), "qd-fool transfer f")
    (row,) = json.loads(json.dumps(summary_json(summary)))["sources"]
    assert "seed" not in row
    assert (row["evaluations"], row["status"]) == (None, None)
    assert row["networks_fooled"]["o"] is None
    assert row["fool_both_at_99"] == [[1, None], [None, None]]


def test_the_page_and_all_files_are_there(ran, finished, tiny):
    out, figures, _ = ran
    for name in (*figures["files"], "transfer.json"):
        assert (out / name).stat().st_size > 0
    page = (out / "transfer.md").read_text()
    assert "| tiny-b | 2 | 0 | 0 |" in page
    assert f"qd-fool transfer {finished} --to tiny-b --weights {tiny['tiny-b']}" in page


def test_the_sheet_says_how_many_fool_all(tmp_path):
    write_image(tmp_path / "x.png", picture(1))

    def sheet(log_odds):
        write_sheet(
            tmp_path / "sheet.png",
            networks=2,
            log_odds=np.full((130, 2), log_odds),
            targets=np.ones(130, int),
            paths=[tmp_path / "x.png"] * 130,
            labels=("a", "a very long name indeed, and another"),
        )
        with Image.open(tmp_path / "sheet.png") as picture:
            return picture.size

    many, few = sheet(9.0), sheet(1.0)
    assert many[0] > few[0] > 700
    assert 1000 < many[1] < 1400
    assert few[1] == 48 + 2 * 154


def test_confidence_is_never_told_as_more_than_it_is():
    assert floored(0.99999, 4) == "0.9999"
    assert floored(0.9, 4) == "0.9000"
    assert floored(1.0, 4) == "1.0000"
