"""The page and the sheet read the run directory only, and need nothing from outside."""

import re

import pytest
from PIL import Image

from qd_fool.cli import main
from qd_fool.errors import UserError
from qd_fool.report.page import write_report
from qd_fool.report.sheet import percent


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "r"
    flags = ["--generations", "3", "--batch-size", "20", "--chunk", "20", "--devices", "1"]
    assert main(["evolve", "--run-dir", str(path), *flags]) == 0
    return path


def test_the_page_shows_every_elite_and_needs_no_network(run_dir):
    page = (run_dir / "report.html").read_text()
    links = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert sum(link.startswith("data:image/png;base64,") for link in links) == 10
    local = [link for link in links if not link.startswith(("data:", "#"))]
    assert local
    assert all((run_dir / link).exists() for link in local)
    assert "<svg" in page
    assert "least confident cell" in page


def test_a_label_cannot_inject_markup(run_dir):
    csv = run_dir / "elites.csv"
    before = csv.read_text()
    csv.write_text(before.replace("\n0,0,", "\n0,<script>alert(1)</script>,", 1))
    write_report(run_dir)
    assert "<script>" not in (run_dir / "report.html").read_text()
    csv.write_text(before)


def test_the_sheet_is_a_picture_of_all(run_dir):
    with Image.open(run_dir / "contact_sheet.png") as sheet:
        assert sheet.width >= 3 * 112
        assert len(sheet.convert("RGB").getcolors(1 << 20)) > 10


@pytest.mark.parametrize(
    ("confidence", "text"),
    [
        (1.0, "100.0000%"),
        (0.99999999, "99.9999%"),
        (0.5, "50.0000%"),
        (0.0, "0.0000%"),
    ],
)
def test_percent_never_rounds_up_to_certainty(confidence, text):
    assert percent(confidence) == text


def test_not_a_run(tmp_path):
    with pytest.raises(UserError, match="is not a run directory"):
        write_report(tmp_path)
