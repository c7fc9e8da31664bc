"""`qd-fool film` end to end: a class, its ancestors, the wall, and what is refused."""

import shutil
import sys

import numpy as np
import pytest
from command import refused
from film_run import colour_of, write_film_run
from paths import ARCHIVES
from PIL import Image

from qd_fool.cli import main
from qd_fool.runs.genomes import prune, write_genome_log
from qd_fool.runs.holders import ancestors_of, holders_at, holders_of
from qd_fool.runs.load import load_archive

ARCHIVE = ARCHIVES / "mnist_cppn"


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """With the genomes of all that ever held a cell."""
    path = tmp_path_factory.mktemp("film") / "run"
    write_film_run(path)
    return path


@pytest.fixture(scope="module")
def pruned(run_dir, tmp_path_factory):
    """The same run, had it kept ancestors only."""
    path = tmp_path_factory.mktemp("film") / "pruned"
    shutil.copytree(run_dir, path)
    archive = load_archive(path)
    write_genome_log(path, prune(archive.genomes, np.asarray(archive.archive.id)))
    return path


def colours(path):
    """The colour at a corner of each frame."""
    with Image.open(path) as film:
        for k in range(film.n_frames):
            film.seek(k)
            yield film.convert("RGB").getpixel((2, 2))


def test_each_holder_of_a_class(run_dir, tmp_path, capsys):
    out = tmp_path / "d.png"
    assert main(["film", str(run_dir), "--class", "d", "--out", str(out)]) == 0
    held = holders_of(load_archive(run_dir).events, 3).id.tolist()
    assert list(colours(out)) == [colour_of(k) for k in held]
    assert f": {len(held)} pictures that held the cell of d" in capsys.readouterr().err
    two = ["film", str(run_dir), "--class", "d", "--frames", "2", "--out", str(out)]
    assert main(two) == 0
    assert list(colours(out)) == [colour_of(k) for k in (held[0], held[-1])]


def test_else_the_line_that_led_to_its_elite(pruned, tmp_path, capsys):
    archive = load_archive(pruned)
    cell = next(
        k
        for k in range(12)
        if not np.isin(holders_of(archive.events, k).id, archive.genomes.id).all()
    )
    out = tmp_path / "line.png"
    assert main(["film", str(pruned), "--class", str(cell), "--out", str(out)]) == 0
    output = capsys.readouterr().err
    assert f"pictures of the line that led to the elite of {'abcdefghijkl'[cell]}" in output
    assert "not all kept; use evolve --keep-genomes all" in output
    line = ancestors_of(archive.events, cell)
    assert list(colours(out)) == [colour_of(k) for k in line.id.tolist()]


def test_a_film_of_graphs_ends_with_the_picture_that_was_scored(tmp_path):
    out = tmp_path / "three.png"
    assert main(["film", str(ARCHIVE), "--class", "3", "--size", "84", "--out", str(out)]) == 0
    with Image.open(out) as film, Image.open(ARCHIVE / "elites" / "0003_3.png") as elite:
        film.seek(film.n_frames - 1)
        last, scored = np.asarray(film.convert("L")), np.asarray(elite)
    # On another kind of machine a few pixels may differ.
    assert (last[1:84:3, 1:84:3] == scored).mean() > 0.98


def test_the_wall(run_dir, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["film", str(run_dir), "--frames", "3", "--size", "300"]) == 0
    assert "3 frames of the wall, from generation 0 to 12" in capsys.readouterr().err
    first = (tmp_path / "wall.webp").read_bytes()
    with Image.open("wall.webp") as film:
        assert film.n_frames == 3
    assert "wall.webp exists already: expected --out" in refused(capsys, "film", run_dir)
    again = ["film", str(run_dir), "--frames", "3", "--size", "300", "--out", "wall.webp"]
    assert main(again) == 0
    assert (tmp_path / "wall.webp").read_bytes() == first


def test_what_the_log_says_is_what_the_run_counted():
    archive = load_archive(ARCHIVE)
    rows = holders_at(archive.events, np.arange(201), classes=10)
    median = np.median(archive.events["confidence"][rows], axis=1)
    np.testing.assert_allclose(median, archive.metrics["median_confidence"], rtol=1e-5)
    assert (archive.events["id"][rows[-1]] == np.asarray(archive.archive.id)).all()


def test_films_that_cannot_be(run_dir, pruned, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = refused(capsys, "film", pruned)
    assert "a film of the wall needs a run with --keep-genomes all, or --class for one" in said
    none = tmp_path / "none"
    shutil.copytree(run_dir, none)
    (none / "genomes.npz").unlink()
    assert "has no genomes.npz: a film needs" in refused(capsys, "film", none, "--class", "1")
    damaged = tmp_path / "damaged"
    shutil.copytree(run_dir, damaged)
    log = load_archive(run_dir).genomes
    write_genome_log(damaged, prune(log, log.id[:1]))
    assert "genomes.npz lacks" in refused(capsys, "film", damaged, "--class", "1")
    for flags, output in (
        (("--out", "a.gif"), "expected a name that ends in .png, .webp or .mp4"),
        (("--out", "no/a.png"), "its folder does not exist"),
        (("--class", "zebra"), "'zebra' is none of the 12 classes"),
        (("--frames", "0"), "--frames is 0: expected 1 or more"),
        (("--seconds", "0"), "--seconds is 0.0: expected more than 0"),
        (("--seconds", "0.01"), "are more than 30 per second"),
        (("--size", "9"), "--size is 9: expected 64 to 4096"),
    ):
        assert output in refused(capsys, "film", run_dir, *flags)
    monkeypatch.setitem(sys.modules, "av", None)
    said = refused(capsys, "film", run_dir, "--out", "a.mp4")
    assert 'pip install "qd-fool[film]"' in said
    assert "is not a run directory" in refused(capsys, "film", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"none", "damaged"}


def test_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["film", "--help"])
    output = capsys.readouterr().out
    for word in ("keep-genomes", "n02129165", ".webp", "qd-fool[film]", "spread evenly over"):
        assert word in output
