"""`--model onnx:FILE` through the commands: evolve, resume, score, render, transfer, ascend."""

import json
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="ONNX files are read with the package onnx")

from command import refused  # noqa: E402

from qd_fool import cli  # noqa: E402
from qd_fool.cli import main  # noqa: E402
from qd_fool.commands.evolve.plan import plan  # noqa: E402
from qd_fool.files import read_npz  # noqa: E402

LABELS = ("ant", "bee", "cat")
FLAGS = ("--mean", "127.5", "--std", "64")


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A file with one convolution, a mean over the picture and a Softmax; and its labels."""
    folder = tmp_path_factory.mktemp("network")
    rng = np.random.default_rng(0)
    weight = rng.normal(0, 3, (3, 3, 4, 4)).astype(np.float32)
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], strides=[4, 4]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["g"]),
        helper.make_node("Flatten", ["g"], ["f"]),
        helper.make_node("Softmax", ["f"], ["y"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", kind, ["n", 3, 12, 12])],
        [helper.make_tensor_value_info("y", kind, ["n", 3])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "small.onnx")
    (folder / "labels.txt").write_text("\n".join(LABELS), encoding="utf-8")
    return ("--model", f"onnx:{folder / 'small.onnx'}", "--labels", str(folder / "labels.txt"))


@pytest.fixture(scope="module")
def run(network, tmp_path_factory):
    """A run of the direct encoding, with gradients, against the file."""
    path = tmp_path_factory.mktemp("run") / "run"
    words = ["evolve", *network, *FLAGS, "--preset", "fast", "--generations", "6"]
    assert main([*words, "--run-dir", str(path)]) == 0
    return path


def test_a_run_says_what_it_was_told_and_fools(run, network):
    config = json.loads((run / "run.json").read_text(encoding="utf-8"))["config"]
    assert (config["model"], config["labels"]) == (network[1], network[3])
    assert (config["mean"], config["std"]) == ("127.5", "64")
    assert config["emitters"] == "variation,gradient"  # three classes: the digits' settings
    assert sorted(p.name for p in (run / "elites").iterdir()) == [
        f"{i:04d}_{label}.png" for i, label in enumerate(LABELS)
    ]
    assert (read_npz(run / "archive.npz")["archive.fitness"] > 0).all()


def test_it_resumes_to_the_bits_of_one_go(run, network, tmp_path):
    part = tmp_path / "part"
    words = ["evolve", *network, *FLAGS, "--preset", "fast", "--run-dir", str(part)]
    assert main([*words, "--generations", "2"]) == 0
    assert main(["evolve", "--resume", "--run-dir", str(part), "--generations", "6"]) == 0
    whole, resumed = (read_npz(path / "archive.npz") for path in (run, part))
    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)


def test_the_other_commands_take_it(run, network, tmp_path, capsys):
    picture = str(run / "elites" / "0001_bee.png")
    assert main(["score", picture, *network, *FLAGS, "--json"]) == 0
    top = json.loads(capsys.readouterr().out)["top"][0]
    assert top["label"] == "bee"
    assert main(["transfer", str(run), "--to", network[1], "--out", str(tmp_path / "to")]) == 0
    poster = str(tmp_path / "bee.png")
    assert (
        main(["render", str(run), "--class", "bee", "--size", "24", "--out", poster, "--nearest"])
        == 0
    )
    assert Path(poster).exists()
    climbed = str(tmp_path / "climbed")
    assert main(["ascend", "--from", str(run), "--iterations", "3", "--run-dir", climbed]) == 0
    record = json.loads((tmp_path / "climbed" / "run.json").read_text(encoding="utf-8"))
    assert record["config"]["std"] == "64"
    assert record["labels"] == list(LABELS)


def test_onnxruntime_runs_the_file_and_resumes(network, tmp_path, capsys):
    pytest.importorskip("onnxruntime", reason="the engine under test")
    path = tmp_path / "by runtime"
    words = ["evolve", *network, *FLAGS, "--run-dir", str(path), "--preset", "fast"]
    assert main([*words, "--engine", "onnxruntime", "--generations", "2"]) == 0
    resume = ["evolve", "--resume", "--run-dir", str(path), "--generations", "3"]
    assert "engine is 'jax', the run has 'onnxruntime'" in refused(
        capsys, *resume, "--engine", "jax"
    )
    assert main(resume) == 0
    config = json.loads((path / "run.json").read_text(encoding="utf-8"))["config"]
    assert (config["engine"], config["emitters"]) == ("onnxruntime", "variation")
    climbed = ("--run-dir", tmp_path / "up")
    assert "has no gradient to climb" in refused(
        capsys, "ascend", *network, "--engine", "onnxruntime", *climbed
    )


def test_auto_is_jax_where_a_gradient_is_wanted(network):
    words = ["evolve", *network, *FLAGS, "--preset", "fast", "--engine", "auto"]
    planned = plan(cli.parse(words))
    assert (planned.config.engine, planned.config.emitters) == ("jax", "variation,gradient")
    assert planned.record["engine"] == "jax"


def test_auto_measures_where_no_gradient_is_wanted(network):
    pytest.importorskip("onnxruntime", reason="the engine under test")
    planned = plan(cli.parse(["evolve", *network, *FLAGS, "--engine", "auto"]))
    assert planned.config.engine in ("jax", "onnxruntime")
    assert "pictures/s; " in planned.subject.scorer.weights


def test_bad_files_and_flags_are_one_sentence(network, tmp_path, capsys):
    assert "cannot be read" in refused(capsys, "evolve", "--model", f"onnx:{tmp_path / 'no.onnx'}")
    (tmp_path / "bad.onnx").write_bytes(b"not a network")
    assert "bad.onnx" in refused(
        capsys, "score", "x.png", "--model", f"onnx:{tmp_path / 'bad.onnx'}"
    )
    assert "--engine auto is for ONNX files and modules of PyTorch, not lenet" in refused(
        capsys, "evolve", "--engine", "auto"
    )
    assert "--std is 1,2" in refused(capsys, "evolve", *network, "--std", "1,2")
