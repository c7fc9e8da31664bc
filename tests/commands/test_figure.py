"""`qd-fool figure` end to end, on runs of one colour a picture."""

import numpy as np
import pytest
from command import refused
from film_run import colour_of, write_film_run
from PIL import Image

from qd_fool.cli import main


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """`{name: ids of its elites}` and their folder."""
    folder = tmp_path_factory.mktemp("figure")
    held = {}
    for seed, name in enumerate("ab"):
        held[name] = write_film_run(folder / name, seed=seed)[1]
    write_film_run(folder / "other", labels="xyz")
    return folder, held


def colours_in_order(path):
    """Colours, not gray, in the order in which they are read."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB")).reshape(-1, 3).astype(int)
    coloured = pixels[pixels.max(axis=1) > pixels.min(axis=1)]
    return list(dict.fromkeys(map(tuple, coloured.tolist())))


def figure(out, *argv):
    assert main(["figure", *map(str, argv), "--out", str(out), "--cell", "16"]) == 0
    return colours_in_order(out)


def test_columns_of_classes_rows_of_runs(runs, tmp_path, capsys):
    folder, held = runs
    found = figure(tmp_path / "f.png", folder / "a", folder / "b")
    wanted = [colour_of(elite[0]) for name in "ab" for elite in held[name]]
    assert found == list(dict.fromkeys(wanted))
    odds = [float(elite[1]) for name in "ab" for elite in held[name]]
    mean = np.mean([1 / (1 + np.exp(-f)) for f in odds])
    output = capsys.readouterr().err
    assert "24 pictures, mean confidence" in output
    assert abs(float(output.split("mean confidence ")[1].split("%")[0]) / 100 - mean) < 1e-5


def test_chosen_columns_in_their_order(runs, tmp_path):
    folder, held = runs
    found = figure(tmp_path / "f.png", folder / "a", "--classes", "d,0,b")
    assert found == [colour_of(held["a"][k][0]) for k in (3, 0, 1)]


def test_a_grid_of_the_most_confident_each_picture_once(runs, tmp_path):
    folder, held = runs
    flags = ("--layout", "grid", "--count", 5, "--columns", 3)
    found = figure(tmp_path / "f.png", folder / "a", folder / "b", *flags)
    best = [max((held[name][k] for name in "ab"), key=lambda elite: elite[1]) for k in range(12)]
    order = sorted(best, key=lambda elite: -elite[1])
    assert found == list(dict.fromkeys(colour_of(elite[0]) for elite in order))[:5]
    chosen = figure(tmp_path / "g.png", folder / "a", "--layout", "grid", "--classes", "c,a")
    assert chosen == [colour_of(held["a"][k][0]) for k in (2, 0)]


def test_figures_that_cannot_be(runs, tmp_path, capsys, monkeypatch):
    folder, _ = runs
    monkeypatch.chdir(tmp_path)
    for argv, output in (
        ((folder / "a", folder / "other"), "have different classes: expected the same"),
        ((folder / "a", "--classes", "q"), "--classes 'q' is none of the 12 classes"),
        ((folder / "a", "--cell", "2"), "--cell is 2: expected 16 to 1024"),
        ((folder / "a", "--out", "f.jpg"), "expected a name that ends in .png"),
        ((folder,), "is not a run directory"),
    ):
        assert output in refused(capsys, "figure", *argv)
    assert list(tmp_path.iterdir()) == []
    assert main(["figure", str(folder / "a")]) == 0
    assert "figure.png exists already" in refused(capsys, "figure", folder / "a")
