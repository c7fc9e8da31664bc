"""`qd-fool render` and `export`: classes by label and WNID, and the file that nobody named."""

import dataclasses
import shutil

import numpy as np
import pytest
from command import refused
from paths import ARCHIVES
from PIL import Image

from qd_fool.cli import main
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.newest import find_cell
from qd_fool.commands.evolve.plan import plan
from qd_fool.errors import UserError
from qd_fool.map_elites.state import init
from qd_fool.models.labels import imagenet_labels


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
    assert "3_56.png exists already: --out says where" in refused(capsys, *poster)
    # A file that is named is replaced.
    Image.new("L", (1, 1)).save("named.png")
    assert main([*poster, "--out", "named.png"]) == 0
    with Image.open("named.png") as again:
        np.testing.assert_array_equal(np.asarray(again), pixels)


def test_classes_are_found_by_name_where_they_have_an_elite(run_dir, capsys):
    planned = plan(EvolveConfig())
    wnids, names = imagenet_labels()
    scorer = dataclasses.replace(planned.scorer, class_names=names, wnids=wnids)
    planned = dataclasses.replace(planned, scorer=scorer)
    state = init(planned.encoding, 1000, seed=0)
    fitness = state.archive.fitness.at[291].set(1.0)
    state = dataclasses.replace(state, archive=dataclasses.replace(state.archive, fitness=fitness))
    for text in ("lion", "N02129165", "291", "king of b"):
        assert find_cell(planned, state, text) == 291
    with pytest.raises(UserError, match=r"--class 292 \(tiger, Panthera tigris\) has no elite"):
        find_cell(planned, state, "tiger")
    for command in ("render", "export"):
        flags = ("--format", "svg") if command == "export" else ()
        told = refused(capsys, command, run_dir, *flags, "--class", "zebra")
        assert "--class 'zebra' is none of the 10 classes: expected an index or a label" in told
