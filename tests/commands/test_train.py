"""`qd-fool train` end to end, on a few random digits."""

import re

import numpy as np
import pytest
from command import refused

from qd_fool import load_scorer
from qd_fool.cli import main
from qd_fool.commands import train
from qd_fool.scoring.score import score_images

COUNTS = {"train": 80, "test": 30}


def digits(split, data_dir=None):
    images = np.random.default_rng(COUNTS[split]).integers(0, 256, (COUNTS[split], 28, 28, 1))
    return images.astype(np.uint8), np.arange(COUNTS[split], dtype=np.int32) % 10


@pytest.fixture
def few_digits(monkeypatch):
    monkeypatch.setattr(train, "load_mnist", digits)


def test_the_saved_network_has_the_accuracy_that_is_told(few_digits, tmp_path, capsys):
    path = tmp_path / "lenet.safetensors"
    assert main(["train", "--out", str(path), "--steps", "2", "--seed", "3"]) == 0
    said = " ".join("".join(capsys.readouterr()).split())
    found = re.search(r"([\d.]+)% on 30 test images, 2 steps", said)
    assert found, said
    scorer = load_scorer("lenet", weights=path)
    images, labels = digits("test")
    odds = score_images(scorer, images, crops=1, chunk=10)
    right = np.asarray(odds).argmax(axis=1) == labels
    assert float(found[1]) == pytest.approx(100 * right.mean(), abs=0.005)


@pytest.mark.parametrize("out", ["nowhere/lenet.safetensors", "."])
def test_a_file_that_cannot_be_written_is_refused_before_any_training(out, tmp_path, capsys):
    sentence = refused(capsys, "train", "--out", tmp_path / out)
    assert f"--out {tmp_path / out}: expected a file in a directory" in sentence


def test_no_steps_are_refused(few_digits, tmp_path, capsys):
    sentence = refused(capsys, "train", "--out", tmp_path / "a.safetensors", "--steps", 0)
    assert "--steps" in sentence
    assert "0" in sentence
