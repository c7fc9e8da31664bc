"""The newest state of a run, from whatever of it there is; and its cells by name."""

import dataclasses
import io
import shutil

import jax
import numpy as np
import pytest
from paths import ARCHIVES
from run_files import archive, copy_of

from qd_fool.commands.common.console import make_console
from qd_fool.commands.evolve.newest import find_cell, read_newest
from qd_fool.errors import UserError
from qd_fool.models import load_scorer
from qd_fool.models.labels import imagenet_labels
from qd_fool.runs.stored import open_run


def newest_of(path):
    said = io.StringIO()
    return read_newest(open_run(path), console=make_console(file=said)), said.getvalue()


def test_checkpoint_and_archive_hold_the_same(run_dir, tmp_path):
    path = copy_of(run_dir, tmp_path / "run")
    checkpoint, said = newest_of(path)
    assert said == ""
    assert checkpoint.seconds > 0
    assert len(checkpoint.genomes.id) > 0
    shutil.rmtree(path / "checkpoints")
    written, _ = newest_of(path)
    assert (written.seconds, written.genomes) == (None, None)
    jax.tree.map(np.testing.assert_array_equal, checkpoint.state, written.state)
    np.testing.assert_array_equal(written.state.archive.fitness, archive(path)["archive.fitness"])
    (path / "archive.npz").unlink()
    with pytest.raises(UserError, match=r"neither a whole checkpoint nor an archive.npz yet"):
        newest_of(path)


@pytest.mark.parametrize("name", ["mnist_direct", "mnist_cppn", "mnist_ascent"])
def test_a_run_of_any_kind_and_of_an_older_version(name):
    newest, _ = newest_of(ARCHIVES / name)
    stored = archive(ARCHIVES / name)
    np.testing.assert_array_equal(newest.state.archive.fitness, stored["archive.fitness"])


def test_classes_are_found_by_name_where_they_have_an_elite():
    wnids, names = imagenet_labels()
    scorer = dataclasses.replace(load_scorer("lenet"), class_names=names, wnids=wnids)
    archive = newest_of(ARCHIVES / "mnist_direct")[0].state.archive
    fitness = np.full(1000, -np.inf, np.float32)
    fitness[291] = 1.0
    archive = dataclasses.replace(archive, fitness=fitness)
    for text in ("lion", "N02129165", "291", "king of b"):
        assert find_cell(scorer, archive, text) == 291
    with pytest.raises(UserError, match=r"--class 292 \(tiger, Panthera tigris\) has no elite"):
        find_cell(scorer, archive, "tiger")
