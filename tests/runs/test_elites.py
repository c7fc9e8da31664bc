"""Elites on disk: equal genomes are drawn once, parts change nothing, bad disks are noticed."""

import csv
import json

import jax
import numpy as np
import pytest
import tiny
from PIL import Image

from qd_fool.errors import UserError
from qd_fool.runs import elites, pictures
from qd_fool.runs.pictures import equal_genomes, render_elites
from qd_fool.scoring.score import score_function


@pytest.fixture(scope="module")
def evolved():
    scorer, encoding, config = tiny.tiny(tiny.linear_scorer(classes=9), batch_size=4)
    state = jax.device_get(tiny.run(scorer, encoding, config, cut=(1,))[0])
    return scorer, encoding, state


def write(evolved, folder, score=None):
    scorer, encoding, state = evolved
    score = score or score_function(scorer, crops=1, chunk=4)
    facts = {"scorer": scorer, "encoding": encoding, "score": score, "chunk": 4}
    folder.mkdir()
    difference = elites.write_elites(folder, state, **facts)
    return difference, {p.name: p.read_bytes() for p in folder.rglob("*.*")}


def test_equal_genomes_are_grouped_in_order():
    genomes = {"a": np.array([1, 2, 1, 1, 2]), "b": np.array([[0], [0], [0], [3], [0]])}
    assert equal_genomes(genomes, np.arange(5)) == [[0, 2], [1, 4], [3]]
    assert equal_genomes(genomes, np.array([4, 2, 1])) == [[4, 1], [2]]


def test_each_picture_is_scored_once_and_every_cell_has_its_own(evolved, tmp_path):
    scorer, encoding, state = evolved
    scored, plain = [], score_function(scorer, crops=1, chunk=4)

    def score(params, images):
        scored.append(len(images))
        return plain(params, images)

    difference, files = write(evolved, tmp_path / "r", score)
    assert difference < 1e-6
    distinct = len(np.unique(state.archive.id))
    assert sum(scored) == distinct < 9
    drawn = render_elites(state.archive, encoding, chunk=4)
    rows = list(csv.DictReader(files["elites.csv"].decode().splitlines()))
    for row in rows:
        cell = int(row["class_index"])
        with Image.open(tmp_path / "r" / row["png"]) as image:
            np.testing.assert_array_equal(np.asarray(image), drawn[cell, ..., 0])
        top = dict(map(tuple, json.loads(row["top5"])))
        if cell in top:
            assert top[cell] == pytest.approx(float(row["confidence"]), abs=1e-6)


def test_parts_change_nothing(evolved, tmp_path, monkeypatch):
    whole = write(evolved, tmp_path / "whole")
    monkeypatch.setattr(pictures, "AT_ONCE", 2)
    assert write(evolved, tmp_path / "parts") == whole


def test_a_file_that_holds_something_else_is_an_error(evolved, tmp_path, monkeypatch):
    plain = pictures.write_bytes
    written = []

    def careless(path, data):
        written.append(path)
        plain(path, data if len(written) == 1 else data[:-1])

    monkeypatch.setattr(pictures, "write_bytes", careless)
    image = np.zeros((6, 6, 1), np.uint8)
    with pytest.raises(UserError, match=r"b.png: the disk returns other bytes"):
        elites._write_and_read([tmp_path / "a.png", tmp_path / "b.png"], image, channels=1)
