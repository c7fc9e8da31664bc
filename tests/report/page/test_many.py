"""A page of very many elites: its parts beside it, and its wall in rows; in a real Chromium."""

import json
import re
import shutil

import pytest
from chromium import FIRST_PICTURE
from PIL import Image
from synthetic_run import write_run

from qd_fool.report import sheet
from qd_fool.report.page import write

MANY = 2500
LABELS = [f"thing {k}, n{10_000_000 + k}" for k in range(MANY)]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    path = tmp_path_factory.mktemp("many") / "run"
    write_run(path, labels=LABELS, side=80)
    return path


@pytest.fixture(scope="module")
def page(run_dir):
    """A page with neither thumbnails nor genomes inside."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(write, "THUMBNAILS", 10_000)
        patch.setattr(write, "LATER_INSIDE", 10_000)
        return write.write_report(run_dir, out=run_dir / "report.html")


def data_of(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def test_what_is_read_later_is_beside_the_page(run_dir, page):
    data = data_of(page.read_text())
    (run,) = data["runs"]
    assert not {"graphs", "family", "ancestors"} & set(run)
    assert not any("thumb" in elite for elite in run["elites"])
    script = (run_dir / data["later"]["file"]).read_text()
    assert script.startswith(f'qdFoolLater("{data["later"]["token"]}", ')
    (later,) = json.loads(json.loads(script.split(", ", 1)[1].removesuffix(");\n")))
    assert set(later) == {"graphs", "family", "ancestors"}
    assert len(later["graphs"]["nodes"]) == MANY


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    path = tmp_path_factory.mktemp("few") / "run"
    write_run(path, labels=LABELS[:30], side=80)
    return path


def test_a_single_file_holds_everything(few, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "THUMBNAILS", 10_000)
    monkeypatch.setattr(write, "LATER_INSIDE", 10_000)
    text = write.write_report(few, out=tmp_path / "one.html", single_file=True).read_text()
    assert data_of(text)["later"] is None
    assert "graphs" in data_of(text)["runs"][0]
    assert text.count('id="picture-0-') == 30
    monkeypatch.setattr(write, "WHOLE_INSIDE", 10_000)
    text = write.write_report(few, out=tmp_path / "small.html", single_file=True).read_text()
    assert "data-single-file" in text
    assert 'id="picture-0-' not in text
    assert all("thumb" in elite for elite in data_of(text)["runs"][0]["elites"])
    assert [path.name for path in tmp_path.glob("*.js")] == []


def test_a_sheet_of_very_many_is_small(few, tmp_path, monkeypatch):
    monkeypatch.setattr(sheet, "CAPTIONED", 30)
    path = sheet.write_contact_sheet(few, out=tmp_path / "sheet.png")
    with Image.open(path) as picture:
        assert picture.size == (7 * 34 + 2, 5 * 34 + 2)


LABEL = "() => document.activeElement.getAttribute('aria-label')"
VISIBLE = """() => {
  const box = document.activeElement.getBoundingClientRect();
  return box.top >= 0 && box.bottom <= innerHeight;
}"""


def test_only_rows_near_the_window_are_in_the_document(page, visit):
    shown = visit(page)
    shown.wait_for_function(FIRST_PICTURE)
    assert shown.inner_text("#count") == "2,500 elites"
    assert 20 < shown.locator("#wall li").count() < 400
    height = shown.evaluate("document.documentElement.scrollHeight")
    shown.select_option("#sort", "class")
    shown.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    last = shown.locator("#wall li").last
    shown.wait_for_function(
        "() => document.querySelector('#wall li:last-child .label').textContent === 'thing 2499'"
    )
    assert last.get_attribute("aria-posinset") == "2500"
    shown.wait_for_function("() => document.querySelector('#wall li:last-child img').naturalWidth")
    assert shown.locator("#wall li").count() < 400
    assert shown.evaluate("document.documentElement.scrollHeight") == height
    shown.set_viewport_size({"width": 600, "height": 800})
    shown.wait_for_function(f"() => document.documentElement.scrollHeight > {height}")
    shown.fill("#search", "n10001234")
    assert shown.locator("#wall .label").all_text_contents() == ["thing 1234"]
    shown.fill("#search", "12 thing")
    assert shown.locator("#wall li").count() == sum("12" in label for label in LABELS)


def test_keys_move_beyond_the_rows_in_the_document(page, visit):
    shown = visit(page)
    shown.select_option("#sort", "class")
    shown.locator(".tile").first.focus()
    for key, number in (("ArrowRight", 1), ("End", 2499), ("ArrowLeft", 2498), ("Home", 0)):
        shown.keyboard.press(key)
        assert shown.evaluate(LABEL).startswith(f"thing {number},")
        assert shown.evaluate(VISIBLE)
    # The focused tile is scrolled away, and the next key continues from it.
    shown.mouse.move(600, 500)
    shown.mouse.wheel(0, 9000)
    shown.wait_for_function("() => document.querySelector('#wall .away')")
    shown.keyboard.press("ArrowRight")
    assert shown.evaluate(LABEL).startswith("thing 1,")
    assert shown.evaluate(VISIBLE)
    assert shown.locator("#wall .away").count() == 0


def test_an_elite_reads_what_is_beside_the_page(page, visit):
    shown = visit(page, fragment="elite-2400")
    dialog = shown.locator("dialog")
    dialog.locator("svg circle").first.wait_for()
    assert dialog.locator("svg circle").count() == 8
    assert dialog.locator(".chain li").count() >= 1
    shown.keyboard.press("Escape")
    assert shown.evaluate(LABEL).startswith("thing 2400,")
    assert shown.evaluate(VISIBLE)


@pytest.mark.parametrize("other", [None, 'qdFoolLater("other", "[]");'])
def test_a_page_without_its_script_says_so(browser, page, tmp_path, other):
    shutil.copy(page, tmp_path / "report.html")
    if other:
        (tmp_path / "report_data.js").write_text(other)
    shown = browser.new_page()
    shown.goto(f"{(tmp_path / 'report.html').as_uri()}#elite-7")
    shown.locator(".made", has_text="report_data.js is not beside this page").wait_for()
    shown.close()
