"""The CPPN encoding through the command: runs, resume, devices, graphs, posters, bad input."""

import json
import shutil
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from command import evolve, refused
from oracles.cppn_walker import to_bytes, walk
from PIL import Image
from run_files import assert_same_archive

from qd_fool.cli import main
from qd_fool.runs.metrics import read_metrics

SMALL = ("--encoding", "cppn", "--generations", "6", "--batch-size", "20", "--chunk", "10")
TIGHT = (*SMALL, "--max-nodes", 7, "--max-edges", 7, "--mutations", 5)
"""Graphs that soon reach their capacity."""


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A finished small run; tests only add to it."""
    path = tmp_path_factory.mktemp("runs") / "small"
    assert evolve(path, *TIGHT, "--devices", 2) == 0
    return path


def test_pngs_score_the_same_again(run_dir):
    run = json.loads((run_dir / "run.json").read_text())
    assert run["png_rescored_max_difference"] <= 1e-5
    assert run["encoding_settings"]["add_edge"] == 0.5


def test_what_capacity_refused_is_in_the_metrics(run_dir):
    counts = read_metrics(run_dir)["refused_mutations"]
    assert counts[0] == 0
    assert np.all(np.diff(counts) > 0)


def test_resume_in_pieces_on_other_devices_gives_the_same(run_dir, tmp_path):
    """One device, too: `emitters/test_contract.py`."""
    path = tmp_path / "pieces"
    assert evolve(path, *TIGHT, "--generations", 1, "--devices", 2) == 0
    assert evolve(path, "--resume", "--generations", 6, "--devices", 4) == 0
    assert_same_archive(run_dir, path)
    counts = (read_metrics(run)["refused_mutations"] for run in (run_dir, path))
    np.testing.assert_array_equal(*counts)


def test_graphs_are_exported_and_draw_the_pngs(run_dir, capsys):
    assert main(["export", str(run_dir), "--format", "graphs"]) == 0
    files = sorted((run_dir / "graphs").glob("*.json"))
    assert len(files) == 10
    equal = []
    for path in files:
        graph = json.loads(path.read_text())
        assert graph["origin"]["model"] == "lenet"
        drawn = to_bytes(walk(graph, 28, 28))[..., 0]
        with Image.open(run_dir / "elites" / f"{path.stem}.png") as image:
            equal.append(np.mean(np.asarray(image) == drawn))
    assert np.mean(equal) >= 0.999


def test_a_graph_is_drawn_as_svg(run_dir):
    command = ["export", str(run_dir), "--format", "svg", "--class", "3"]
    assert main(command) == 0
    path = run_dir / "graphs" / "0003_3.svg"
    first = path.read_bytes()
    root = ET.fromstring(first)  # noqa: S314  (our own file)
    assert root.tag.endswith("svg")
    words = "".join(root.itertext())
    for word in ("column", "row", "distance", "bias", "gray", "nodes"):
        assert word in words
    assert main(command) == 0
    assert path.read_bytes() == first


def test_a_poster_of_an_elite(run_dir, tmp_path, capsys):
    out = tmp_path / "poster.png"
    assert main(["render", str(run_dir), "--class", "3", "--size", "112", "--out", str(out)]) == 0
    output = capsys.readouterr().err
    assert "confidence of lenet in 3" in output
    assert "with this picture scaled to" in output
    with Image.open(out) as image:
        assert (image.size, image.mode) == ((112, 112), "L")
        assert len(np.unique(np.asarray(image))) > 1


def test_nearest_reproduces_the_scored_picture(run_dir, tmp_path, capsys):
    out = tmp_path / "large.png"
    command = ["render", str(run_dir), "--class", "5", "--size", "84", "--out", str(out)]
    assert main([*command, "--nearest"]) == 0
    with Image.open(run_dir / "elites" / "0005_5.png") as small, Image.open(out) as large:
        np.testing.assert_array_equal(np.asarray(large)[1::3, 1::3], np.asarray(small))
    # Enlarged and scaled down again it is the same picture: so is its confidence.
    words = capsys.readouterr().err.split()
    numbers = [word.rstrip(",") for word in words if word.startswith("0.")]
    assert numbers[0] == numbers[1]


def test_a_graph_file_draws_what_its_run_draws(run_dir, tmp_path, capsys):
    assert main(["export", str(run_dir), "--format", "graphs", "--class", "7"]) == 0
    graph = run_dir / "graphs" / "0007_7.json"
    assert main(["render", str(graph), "--size", "28", "--out", str(tmp_path / "a.png")]) == 0
    assert "confidence of lenet in 7" in capsys.readouterr().err
    with (
        Image.open(run_dir / "elites" / "0007_7.png") as png,
        Image.open(tmp_path / "a.png") as drawn,
    ):
        np.testing.assert_array_equal(np.asarray(png), np.asarray(drawn))
    bare = json.loads(graph.read_text())
    del bare["origin"]
    (tmp_path / "bare.json").write_text(json.dumps(bare))
    out = tmp_path / "b.png"
    assert main(["render", str(tmp_path / "bare.json"), "--size", "28", "--out", str(out)]) == 0
    assert "confidence" not in capsys.readouterr().err
    output = refused(capsys, "render", tmp_path / "bare.json", "--out", out, "--class", 3)
    assert "give both --model and --class" in output


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "is a run: expected --class, the elite to draw"),
        (("--class", 10), "--class is 10: expected 0 to 9"),
        (("--class", 1, "--size", 0), "--size is 0: expected 1 to 4096"),
        (("--class", 1, "--size", 5000), "--size is 5000: expected 1 to 4096"),
        (("--class", 1, "--model", "lenet"), "--model and --weights are for graph files"),
    ],
)
def test_posters_that_cannot_be(run_dir, tmp_path, capsys, flags, message):
    out = tmp_path / "x.png"
    assert message in refused(capsys, "render", run_dir, "--out", out, *flags)
    assert not out.exists()


def test_files_that_are_no_graph_or_picture(run_dir, tmp_path, capsys):
    bad = tmp_path / "bad.json"
    bad.write_text("{")
    out = tmp_path / "x.png"
    assert "bad.json: expected JSON" in refused(capsys, "render", bad, "--out", out)
    bad.write_text('{"format": "qd_fool.cppn", "version": 2}')
    assert "version is 2" in refused(capsys, "render", bad, "--out", out)
    assert "cannot be read" in refused(capsys, "render", tmp_path / "none.json", "--out", out)
    assert "ends in .png" in refused(
        capsys, "render", run_dir, "--class", 1, "--out", tmp_path / "x.jpg"
    )
    assert "its folder does not exist" in refused(
        capsys, "render", run_dir, "--class", 1, "--out", tmp_path / "no" / "x.png"
    )


def test_elites_of_other_settings_are_no_first_archive(run_dir, tmp_path, capsys):
    flags = ("--init-from", run_dir, "--activations", "sine")
    output = refused(capsys, "evolve", "--run-dir", tmp_path / "new", *TIGHT, *flags)
    assert "its activations is 'sine,sigmoid,gaussian,linear', this run's 'sine'" in output
    assert not (tmp_path / "new").exists()


def test_settings_of_a_wrong_type_in_run_json_are_told(run_dir, tmp_path, capsys):
    path = tmp_path / "odd"
    shutil.copytree(run_dir, path)
    run = json.loads((path / "run.json").read_text())
    for name, value in (("max_nodes", "64"), ("activations", 5), ("mutations", 1.5)):
        (path / "run.json").write_text(json.dumps(run | {"config": run["config"] | {name: value}}))
        output = refused(capsys, "evolve", "--resume", "--run-dir", path)
        assert f"{name} is {value!r}, expected" in output


def test_direct_runs_have_no_graphs_and_one_size(tmp_path, capsys):
    path = tmp_path / "direct"
    small = ("--batch-size", 20, "--chunk", 10, "--devices", 2)  # as in `command.SMALL`
    assert evolve(path, "--generations", 1, *small) == 0
    output = refused(capsys, "export", path, "--format", "graphs")
    assert "the direct encoding has no graphs" in output
    out = tmp_path / "x.png"
    output = refused(capsys, "render", path, "--class", 0, "--out", out)
    assert "the direct encoding draws one size only: --nearest" in output
    assert main(["render", str(path), "--class", "0", "--out", str(out), "--nearest"]) == 0
    found = refused(capsys, "export", path, "--class", 1)
    assert "--class applies only to --format graphs" in found


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--encoding", "cppn", "--genes", "float"), "--genes applies only to the direct"),
        (("--coords", "normalized"), "--coords applies only to the cppn"),
        (("--encoding", "cppn", "--activations", "relu"), "activations is 'relu': expected some"),
        (("--encoding", "cppn", "--max-nodes", 3), "--max-nodes is 3: expected 5 to 1000"),
        (("--encoding", "cppn", "--color", "hls"), "pictures have 1 channel, expected gray"),
    ],
)
def test_settings_that_do_not_fit(tmp_path, capsys, flags, message):
    path = tmp_path / "run"
    assert message in refused(capsys, "evolve", "--run-dir", path, *flags)
    assert not path.exists()
