"""`--model torch:...` through the commands: evolve, resume, score, ascend, and code not named."""

import json
import sys

import numpy as np
import pytest

pytest.importorskip("torch", reason="modules of PyTorch")

from command import refused

from qd_fool.cli import main
from qd_fool.files import read_npz
from qd_fool.models.foreign.settings import NAMED

SOURCE = """
import torch

def net():
    return torch.nn.Sequential(torch.nn.Conv2d(3, 6, 4, stride=4), torch.nn.ReLU(),
                               torch.nn.Flatten(), torch.nn.Linear(24, 3))
"""
FLAGS = ("--input-size", "8", "--labels", "labels.txt", "--mean", "127", "--std", "32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("network")
    (path / "torch_of_a_test.py").write_text(SOURCE)
    (path / "labels.txt").write_text("ant\nbee\ncat\n")
    return path


@pytest.fixture(autouse=True)
def forget(folder, monkeypatch):
    """Each test starts as a new process does: the file was not run yet."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
    yield
    sys.modules.pop("torch_of_a_test", None)
    NAMED.clear()


@pytest.mark.parametrize("engine", ["torch", "jax"])
@pytest.mark.parametrize("place", ["torch_of_a_test.py", "torch_of_a_test"])
def test_a_run_resumes_to_the_bits_of_one_go(place, engine, tmp_path, capsys):
    name = f"torch:{place}:net"
    words = ["evolve", "--model", name, *FLAGS, "--engine", engine, "--preset", "fast"]
    whole, part = tmp_path / "whole", tmp_path / "part"
    assert main([*words, "--generations", "4", "--run-dir", str(whole)]) == 0
    assert main([*words, "--generations", "2", "--run-dir", str(part)]) == 0
    sys.modules.pop("torch_of_a_test", None)
    NAMED.clear()
    resume = ["evolve", "--resume", "--run-dir", str(part), "--generations", "4"]
    assert f"give --model {name}" in refused(capsys, *resume)
    assert "torch_of_a_test" not in sys.modules
    assert main([*resume, "--model", name]) == 0
    a, b = (read_npz(path / "archive.npz") for path in (whole, part))
    assert all(np.array_equal(a[key], b[key]) for key in a)
    record = json.loads((whole / "run.json").read_text("utf-8"))
    assert record["config"]["engine"] == engine
    assert record["config"]["emitters"] == "variation,gradient"
    assert "torch" in record["versions"]
    assert len(record["config"]["weights_sha256"]) == 64


def test_the_other_commands_take_it(tmp_path, capsys):
    name = "torch:torch_of_a_test.py:net"
    run = str(tmp_path / "run")
    words = ["--model", name, *FLAGS, "--engine", "torch"]
    assert main(["evolve", *words, "--generations", "3", "--run-dir", run]) == 0
    capsys.readouterr()
    assert main(["score", f"{run}/elites/0001_bee.png", *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["top"][0]["label"] == "bee"
    up = ["ascend", *words, "--iterations", "3", "--run-dir", str(tmp_path / "up")]
    assert main(up) == 0
    assert main(["transfer", run, "--to", name, *FLAGS, "--out", str(tmp_path / "to")]) == 0
    sentence = refused(capsys, "evolve", "--model", "torch:torch_of_a_test.py:no_net", *FLAGS)
    assert "there is no 'no_net': there is net" in sentence
    assert "expected --input-size" in refused(capsys, "evolve", "--model", name)
    assert "cannot be imported" in refused(capsys, "evolve", "--model", "torch:no_module_x:f")
