"""The page and the sheet read the run directory only, and need nothing from outside."""

import base64
import json
import re

import pytest
from PIL import Image
from synthetic_run import write_run

from qd_fool.cli import main
from qd_fool.errors import UserError
from qd_fool.files import read_npz
from qd_fool.report.page.write import duration, write_comparison, write_report


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "r"
    flags = ["--generations", "3", "--batch-size", "20", "--chunk", "20", "--devices", "1"]
    assert main(["evolve", "--run-dir", str(path), *flags]) == 0
    return path


def data_of(page):
    return json.loads(re.search(r'id="data">(.*?)</script>', page.read_text(), re.S)[1])


def test_the_page_shows_every_elite_and_needs_no_network(run_dir):
    page = (run_dir / "report.html").read_text()
    (run,) = data_of(run_dir / "report.html")["runs"]
    assert len(run["elites"]) == 10
    assert all(elite["thumb"].startswith("data:image/png;base64,") for elite in run["elites"])
    assert all((run_dir / run["base"] / elite["png"]).exists() for elite in run["elites"])
    assert run["curves"]["lines"]["q25"]
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    local = [link for link in links if not link.startswith(("data:", "#"))]
    assert {"contact_sheet.png", "elites.csv", "run.json"} <= set(local)
    assert all((run_dir / link).exists() for link in local)
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)\S+", page) == []


def test_the_page_holds_pictures_of_ancestors(run_dir):
    text = (run_dir / "report.html").read_text()
    pictures = json.loads(re.search(r'id="ancestors-0">(.*?)</script>', text, re.S)[1])
    (run,) = data_of(run_dir / "report.html")["runs"]
    ids = {run["family"]["id"][int(row)] for row in pictures}
    assert ids
    assert ids <= set(read_npz(run_dir / "genomes.npz")["id"].tolist())
    assert "ancestors" not in run


def test_the_page_does_not_tell_where_the_run_was_made(run_dir):
    assert str(run_dir.parent) not in (run_dir / "report.html").read_text()


def test_a_label_cannot_inject_markup(run_dir):
    csv = run_dir / "elites.csv"
    before = csv.read_text()
    csv.write_text(before.replace("\n0,0,", "\n0,</script><script>alert(1)</script>,", 1))
    write_report(run_dir)
    page = (run_dir / "report.html").read_text()
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert page.count("</script>") == page.count("<script")
    csv.write_text(before)


def test_a_single_file_holds_the_pngs_as_they_are(run_dir):
    path = write_report(run_dir, single_file=True)
    assert path.name == "report_single.html"
    found = re.findall(r'id="picture-0-\d+">data:image/png;base64,(.*?)</script>', path.read_text())
    pngs = sorted((run_dir / "elites").iterdir())
    assert [base64.b64decode(text) for text in found] == [png.read_bytes() for png in pngs]


def test_pictures_are_found_from_another_directory(run_dir, tmp_path):
    out = write_report(run_dir, out=tmp_path / "page.html")
    (run,) = data_of(out)["runs"]
    assert (out.parent / run["base"] / run["elites"][0]["png"]).exists()


def test_two_runs_are_joined_by_class(tmp_path):
    write_run(tmp_path / "a", labels="abcd", side=8)
    write_run(tmp_path / "b", labels="dcbx", side=8, seed=1, graphs=False)
    data = data_of(write_comparison(tmp_path / "a", tmp_path / "b", out=tmp_path / "c.html"))
    pairs = [tile for tile in data["tiles"] if len(tile) == 2]
    assert pairs == [[[0, 1], [1, 2]], [[0, 2], [1, 1]], [[0, 3], [1, 0]]]
    assert len(data["tiles"]) == 5
    assert data["runs"][1]["note"] == "the run has no archive.npz"
    write_run(tmp_path / "z", labels="uvw", side=8)
    with pytest.raises(UserError, match="elites of no class in common"):
        write_comparison(tmp_path / "a", tmp_path / "z", out=tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()


def test_an_ascent_has_neither_parents_nor_goal_switches(tmp_path):
    write_run(tmp_path / "a", labels="abcd", side=8, kind="ascent", encoding="direct")
    page = write_report(tmp_path / "a")
    (run,) = data_of(page)["runs"]
    assert "family" not in run
    assert len(run["histograms"]) == len(run["pixels"]) == 4
    assert "gradient ascent" in page.read_text()


def test_the_sheet_is_a_picture_of_all(run_dir):
    with Image.open(run_dir / "contact_sheet.png") as sheet:
        assert sheet.width >= 3 * 112
        assert len(sheet.convert("RGB").getcolors(1 << 20)) > 10


@pytest.mark.parametrize(
    ("seconds", "text"), [(5.26, "5.3 s"), (617.2, "10 min 17 s"), (12_300, "3 h 25 min")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_not_a_run(tmp_path):
    with pytest.raises(UserError, match="is not a run directory"):
        write_report(tmp_path)
