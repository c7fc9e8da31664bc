"""`qd-fool report`: what it writes, and what it refuses."""

import shutil

import pytest
from command import refused
from paths import ARCHIVES
from PIL import Image
from synthetic_run import write_run

from qd_fool.cli import main


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate("ab"):
        write_run(folder / name, labels="abcd", side=8, seed=seed)
    return folder


def test_one_run_two_runs_and_a_single_file(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    a, b = str(runs / "a"), str(runs / "b")
    assert main(["report", a]) == 0
    assert "report.html (0.1 MB)" in capsys.readouterr().err
    assert (runs / "a" / "report.html").exists()
    assert main(["report", a, "--single-file"]) == 0
    assert (runs / "a" / "report_single.html").exists()
    assert main(["report", a, b]) == 0
    assert (tmp_path / "compare.html").exists()
    assert main(["report", a, b, "--out", "both.html"]) == 0
    assert (tmp_path / "both.html").exists()


def test_pictures_that_are_missing_are_drawn_from_genomes(tmp_path, capsys):
    reference = ARCHIVES / "mnist_direct"
    run = tmp_path / "run"
    shutil.copytree(reference, run, ignore=shutil.ignore_patterns("elites", "report.html"))
    csv = run / "elites.csv"
    csv.write_text(csv.read_text().replace("elites/0007_7.png", "../0007_7.png"))
    output = refused(capsys, "report", run)
    assert "0007_7.png: expected a picture" in output
    assert not (tmp_path / "0007_7.png").exists()
    csv.write_text((reference / "elites.csv").read_text())
    assert main(["report", str(run)]) == 0
    assert "drew 1 pictures" in capsys.readouterr().err
    for png in (reference / "elites").iterdir():
        with Image.open(png) as wanted, Image.open(run / "elites" / png.name) as found:
            assert (wanted.mode, wanted.tobytes()) == (found.mode, found.tobytes())


def test_bad_input_is_one_sentence(runs, tmp_path, capsys):
    a = runs / "a"
    assert "3 runs given, expected one, or two" in refused(capsys, "report", a, a, a)
    assert "is not a run directory" in refused(capsys, "report", a, tmp_path)
    assert "--out is run.json: expected a name that ends in .html" in refused(
        capsys, "report", a, "--out", "run.json"
    )
    assert "in a directory that exists" in refused(
        capsys, "report", a, "--out", tmp_path / "no" / "r.html"
    )
