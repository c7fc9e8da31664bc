"""`qd-fool render` and `export`: classes by label and WNID, and the file that nobody named."""

import shutil

import numpy as np
import pytest
from command import refused
from paths import ARCHIVES
from PIL import Image

from qd_fool.cli import main


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A copy: these commands lock the run, which other tests may use at the same time."""
    path = tmp_path_factory.mktemp("render") / "run"
    shutil.copytree(ARCHIVES / "mnist_direct", path)
    return path


def test_a_poster_that_nobody_named(run_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    poster = ["render", str(run_dir), "--nearest", "--size", "56", "--class", "3"]
    assert main(poster) == 0
    assert "wrote 3_56.png, 56 x 56 pixels" in capsys.readouterr().err
    with Image.open("3_56.png") as large:
        pixels = np.asarray(large)
    np.testing.assert_array_equal(pixels[::2, ::2], pixels[1::2, 1::2])
    assert "3_56.png exists already: expected --out" in refused(capsys, *poster)
    # A file that is named is replaced.
    Image.new("L", (1, 1)).save("named.png")
    assert main([*poster, "--out", "named.png"]) == 0
    with Image.open("named.png") as again:
        np.testing.assert_array_equal(np.asarray(again), pixels)


@pytest.mark.parametrize("command", [("render",), ("export", "--format", "svg")])
def test_a_class_that_there_is_not(run_dir, capsys, command):
    output = refused(capsys, *command, run_dir, "--class", "zebra")
    assert "--class 'zebra' is none of the 10 classes: expected an index or a label" in output
