"""The command: help that teaches, models, score, export, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from command import refused
from PIL import Image

from qd_fool.cli import main, parse
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.models import ZOO


@pytest.mark.parametrize("command", [[], ["evolve"], ["score"], ["export"], ["models"], ["train"]])
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    assert "usage: qd-fool" in capsys.readouterr().out


def test_evolve_has_the_flags_that_scripts_rely_on(capsys):
    with pytest.raises(SystemExit):
        main(["evolve", "--help"])
    output = capsys.readouterr().out
    for flag in (
        "--model",
        "--encoding",
        "--generations",
        "--batch-size",
        "--seed",
        "--run-dir",
        "--weights",
        "--crops",
        "--resume",
        "--init-from",
        "--checkpoint-every",
        "--log-every",
        "--archive-rule",
        "--image-size",
        "--devices",
        "--chunk",
    ):
        assert flag in output


def test_an_unknown_flag_exits_with_2(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["evolve", "--generation-count", "3"])
    assert stop.value.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "lenet", "--images", "."], "lenet does not have ImageNet's classes"),
        (["check", "efficientnet-lite0", "--images", "nowhere"], "nowhere"),
        (["fetch", "squeezenet1.1-caffe"], "squeezenet1.1-caffe has no weights of its own"),
        (["fetch", "vgg"], "unknown model 'vgg'"),
    ],
)
def test_models_refuses(capsys, arguments, message):
    assert main(["models", *arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert message in lines[0]


def test_models_lists_the_zoo(capsys):
    assert main(["models", "--json"]) == 0
    output = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [m["name"] for m in output] == list(ZOO)
    facts = ("architecture", "source", "licence", "preprocessing", "accuracy", "file")
    assert all(m[fact] for m in output for fact in facts)
    hashes = {m["name"]: m.get("hash") for m in output}
    assert hashes["caffenet"] == "sha1:4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46"
    assert hashes["alexnet"] == "sha256-prefix:7be5be79"
    assert hashes["lenet"].startswith("sha256:")
    assert {name for name in hashes if hashes[name] is None} == {
        "squeezenet1.0-caffe",
        "squeezenet1.1-caffe",
    }
    assert main(["models"]) == 0
    assert "431,080" in capsys.readouterr().out


@pytest.fixture
def digit(tmp_path, mnist_test):
    images, labels = mnist_test
    path = tmp_path / "digit.png"
    Image.fromarray(images[0, :, :, 0]).save(path)
    return path, int(labels[0])


def test_score_reads_a_real_digit(digit, capsys):
    path, label = digit
    assert main(["score", str(path), "--model", "lenet", "--top", "3", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    output = json.loads(line)
    assert output["image"] == str(path)
    assert len(output["top"]) == 3
    assert set(output["top"][0]) == {"class_index", "label", "confidence"}
    assert output["top"][0]["class_index"] == label
    assert output["top"][0]["label"] == str(label)
    assert output["top"][0]["confidence"] > 0.9
    assert main(["score", str(path)]) == 0
    assert capsys.readouterr().out.startswith(f"{path}: {label} 1.000000  ")


def test_score_with_the_papers_lenet(digit, original_lenet, capsys):
    path, label = digit
    assert main(["score", str(path), "--weights", str(original_lenet), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top"][0]["class_index"] == label


def picture(tmp_path, name="p.png", size=(28, 28), mode="L"):
    path = tmp_path / name
    Image.new(mode, size).save(path)
    return path


def test_score_refuses_what_it_would_have_to_change(tmp_path, capsys):
    assert "the mode is RGB, expected L (8-bit gray)" in refused(
        capsys, "score", picture(tmp_path, mode="RGB")
    )
    assert "the mode is 1, expected L" in refused(capsys, "score", picture(tmp_path, mode="1"))
    small = refused(capsys, "score", picture(tmp_path, "small.png", size=(27, 28)))
    assert "small.png: images are 28x27: lenet expects at least 28x28" in small
    text = tmp_path / "text.png"
    text.write_text("no picture")
    assert "text.png: cannot be read" in refused(capsys, "score", text)
    cut = picture(tmp_path, "cut.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)).save(cut)
    cut.write_bytes(cut.read_bytes()[:300])
    assert "cut.png" in refused(capsys, "score", cut)
    assert "none.png: cannot be read" in refused(capsys, "score", tmp_path / "none.png")
    assert "--top is 0" in refused(capsys, "score", picture(tmp_path), "--top", 0)
    assert "unknown model 'x'" in refused(capsys, "score", picture(tmp_path), "--model", "x")


def test_resume_needs_a_directory(capsys):
    assert "--resume needs --run-dir" in refused(capsys, "evolve", "--resume")


def test_export_writes_a_killed_runs_files_again(tmp_path, capsys):
    path = tmp_path / "r"
    flags = ["--generations", "3", "--batch-size", "20", "--chunk", "20", "--devices", "1"]
    assert main(["evolve", "--run-dir", str(path), *flags]) == 0
    images = {p.name: p.read_bytes() for p in (path / "elites").iterdir()}
    for name in ("archive.npz", "elites.csv", "report.html", "contact_sheet.png"):
        (path / name).unlink()
    for png in (path / "elites").iterdir():
        png.unlink()
    assert main(["export", str(path)]) == 0
    assert {p.name: p.read_bytes() for p in (path / "elites").iterdir()} == images
    for name in ("archive.npz", "elites.csv", "report.html", "contact_sheet.png"):
        assert (path / name).exists()
    assert "nowhere is not a run directory" in refused(capsys, "export", "nowhere")


@pytest.mark.parametrize("append", [["--model=b"], ["--model", "b"]])
def test_models_and_weights_given_again_are_further_networks(append):
    words = ["evolve", "--model", "a", "--seed", "3", *append, "--weights", "f", "--weights", "own"]
    config = parse(words)
    assert (config.model, config.also, config.seed) == ("a", ("b",), 3)
    assert (config.weights, config.also_weights) == (Path("f"), (Path("own"),))
    usual = parse(["evolve"])
    assert usual == EvolveConfig()
    assert (usual.model, usual.also, usual.weights) == ("lenet", (), None)
