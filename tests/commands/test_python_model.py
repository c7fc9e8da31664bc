"""`--model python:FILE.py:FUNCTION` through the commands: what works, and what is refused."""

import hashlib
import json
import sys

import numpy as np
import pytest
from command import refused
from PIL import Image

from qd_fool.cli import main
from qd_fool.files import read_npz

SOURCE = """
import numpy as np

WEIGHTS = np.random.default_rng(0).normal(size=(64, 3)).astype(np.float32)
calls, dies_at = 0, None

def predict(x):
    global calls
    calls += 1
    if calls == dies_at:
        raise RuntimeError("the cable is loose")
    return x.reshape(len(x), -1) / np.float32(256) @ WEIGHTS

def climbs(x):
    return predict(x)

def holds(x):
    return 1 / (1 + np.exp(-(x.reshape(len(x), -1)[:, :24] / np.float32(64) @ WEIGHTS[:24])))

climbs.gradient = lambda x, weights: (weights @ WEIGHTS.T / 256).reshape(x.shape)
"""
SIZE = ("--input-size", "8", "--channels", "gray", "--labels")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("network")
    (path / "hosted_by_a_test.py").write_text(SOURCE)
    (path / "labels.txt").write_text("ant\nbee\ncat\n")
    return path


@pytest.fixture(autouse=True)
def forget(folder, monkeypatch):
    """Each test starts as a new process does: the file was not run yet."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("hosted_by_a_test", None)


NAME = "python:hosted_by_a_test.py:predict"
NETWORK = ("--model", NAME, *SIZE, "labels.txt")
RUN = ("evolve", *NETWORK, "--preset", "fast")


@pytest.fixture(scope="module")
def run(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])
        assert main([*RUN, "--generations", "6", "--run-dir", "run"]) == 0
    sys.modules.pop("hosted_by_a_test", None)
    return folder / "run"


def archives(*paths):
    return [read_npz(path / "archive.npz") for path in paths]


def same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


def test_a_run_records_its_file_and_has_settings_without_a_gradient(run, folder):
    config = json.loads((run / "run.json").read_text("utf-8"))["config"]
    digest = hashlib.sha256((folder / "hosted_by_a_test.py").read_bytes()).hexdigest()
    assert (config["model"], config["weights_sha256"]) == (NAME, digest)
    assert (config["emitters"], config["batch_size"], config["chunk"]) == ("variation", 20, 20)
    assert sorted(path.name for path in (run / "elites").iterdir())[1] == "0001_bee.png"
    assert (run / "report.html").exists()


def test_a_resume_runs_no_code_that_is_not_named(run, folder, tmp_path, capsys):
    part = tmp_path / "part"
    assert main([*RUN, "--generations", "2", "--run-dir", str(part)]) == 0
    sys.modules.pop("hosted_by_a_test", None)
    words = ["evolve", "--resume", "--run-dir", str(part), "--generations", "6"]
    assert f"give --model {NAME}" in refused(capsys, *words)
    assert "hosted_by_a_test" not in sys.modules
    assert main([*words, "--model", NAME]) == 0
    assert same(*archives(run, part))


def test_a_function_that_dies_loses_nothing(run, tmp_path, capsys):
    path = tmp_path / "dies"
    words = ["score", str(run / "elites" / "0000_ant.png"), *NETWORK]
    assert main(words) == 0
    module = sys.modules["hosted_by_a_test"]
    module.dies_at = module.calls + 16  # the noise twice, in 11 calls, and generations 0 to 3
    sentence = refused(capsys, *RUN, "--generations", "6", "--run-dir", path)
    module.dies_at = None
    assert "failed, line 11: RuntimeError: the cable is loose" in sentence
    assert f"the run is saved after generation 3, continue with: qd-fool evolve --resume --run-dir {path} --model {NAME}" in sentence  # fmt: skip  # noqa: E501
    record = json.loads((path / "run.json").read_text("utf-8"))
    assert (record["status"], record["generations_done"]) == ("failed", 3)
    assert main(["evolve", "--resume", "--run-dir", str(path), "--model", NAME]) == 0
    assert same(*archives(run, path))


def test_the_other_commands_take_it(run, tmp_path, capsys):
    assert main(["score", str(run / "elites" / "0001_bee.png"), *NETWORK, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top"][0]["label"] == "bee"
    to = ["transfer", str(run), "--to", NAME, *SIZE, "labels.txt", "--out", str(tmp_path / "to")]
    assert main(to) == 0
    poster = ["render", str(run), "--class", "bee", "--size", "16", "--nearest", "--out"]
    poster += [str(tmp_path / "bee.png"), "--import", "hosted_by_a_test.py"]
    assert main(poster) == 0


def test_ascent_takes_a_function_with_a_gradient(run, tmp_path, capsys):
    words = ["ascend", "--iterations", "3", "--run-dir", str(tmp_path / "up"), *SIZE, "labels.txt"]
    assert "has no gradient to climb" in refused(capsys, *words, "--model", NAME)
    assert main([*words, "--model", NAME.replace("predict", "climbs")]) == 0
    assert len((tmp_path / "up" / "ascent.csv").read_text().splitlines()) == 4


def test_what_does_not_fit_is_one_sentence(tmp_path, capsys):
    assert "no such file" in refused(capsys, "evolve", "--model", "python:absent.py:f")
    assert "expected python:FILE.py:FUNCTION" in refused(capsys, "evolve", "--model", "python:a.py")
    words = ("--emitters", "gradient", "--run-dir", tmp_path / "run")
    assert "needs the network's gradient" in refused(capsys, "evolve", *NETWORK, *words)
    assert not (tmp_path / "run").exists()
    check = ("models", "check", NAME, *SIZE, "labels.txt", "--images", ".")
    assert "does not have ImageNet's classes" in refused(capsys, *check)


def test_labels_that_hold_independently_and_pictures_that_are_not_square(tmp_path, capsys):
    path = tmp_path / "run"
    name = NAME.replace("predict", "holds")
    words = ["evolve", "--model", name, "--input-size", "4x6", "--channels", "gray"]
    words += ["--labels", "labels.txt", "--outputs", "label-probabilities"]
    words += ["--encoding", "direct", "--batch-size", "20", "--run-dir", str(path)]
    assert main([*words, "--generations", "2"]) == 0
    assert main(["evolve", "--resume", "--run-dir", str(path), "--model", name]) == 0
    picture = path / "elites" / "0002_cat.png"
    pixels = np.asarray(Image.open(picture), np.uint8)
    assert pixels.shape == (4, 6)
    capsys.readouterr()
    assert main(["score", str(picture), *words[1:11], "--json"]) == 0
    top = {row["label"]: row["confidence"] for row in json.loads(capsys.readouterr().out)["top"]}
    expected = sys.modules["hosted_by_a_test"].holds(pixels[None, :, :, None])[0]
    np.testing.assert_allclose([top[x] for x in ("ant", "bee", "cat")], expected, atol=1e-5)
