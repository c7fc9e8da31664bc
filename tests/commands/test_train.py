"""`qd-fool train` end to end, on a few pictures that are easily told apart."""

import re

import numpy as np
import pytest
from command import refused

from qd_fool import load_scorer
from qd_fool.cli import main
from qd_fool.commands import train
from qd_fool.scoring.score import score_images

COUNTS = {"train": 200, "test": 30}


def digits(split, data_dir=None):
    """Noise with a bright bar, whose place is that of the class."""
    labels = np.arange(COUNTS[split], dtype=np.int32) % 10
    images = np.random.default_rng(COUNTS[split]).integers(0, 100, (len(labels), 28, 28, 1))
    for image, label in zip(images, labels, strict=True):
        image[:, 2 * label + 4 : 2 * label + 6] = 255
    return images.astype(np.uint8), labels


@pytest.fixture
def few_digits(monkeypatch):
    monkeypatch.setattr(train, "load_mnist", digits)


def test_the_saved_network_has_the_accuracy_that_is_told(few_digits, tmp_path, capsys):
    path = tmp_path / "lenet.safetensors"
    assert main(["train", "--out", str(path), "--recipe", "short", "--steps", "12"]) == 0
    said = " ".join("".join(capsys.readouterr()).split())
    found = re.search(r"([\d.]+)% on 30 test images, 12 steps", said)
    assert found, said
    scorer = load_scorer("lenet", weights=path)
    images, labels = digits("test")
    odds = score_images(scorer, images, crops=1, chunk=10)
    right = np.asarray(odds).argmax(axis=1) == labels
    assert right.mean() > 0.5
    assert float(found[1]) == pytest.approx(100 * right.mean(), abs=0.005)


@pytest.mark.parametrize("out", ["nowhere/lenet.safetensors", "."])
def test_a_file_that_cannot_be_written_is_refused_before_any_training(out, tmp_path, capsys):
    sentence = refused(capsys, "train", "--out", tmp_path / out)
    assert f"--out {tmp_path / out}: expected a file in a directory" in sentence


def test_no_steps_are_refused(few_digits, tmp_path, capsys):
    sentence = refused(capsys, "train", "--out", tmp_path / "a.safetensors", "--steps", 0)
    assert "--steps" in sentence
    assert "0" in sentence
