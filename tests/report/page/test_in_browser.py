"""The page in a real Chromium, opened from disk: what a person does with it."""

import json
import re
import shutil

import pytest
from chromium import CHROMIUM, FIRST_PICTURE
from synthetic_run import write_run

from qd_fool.models.labels import imagenet_labels
from qd_fool.report.page.write import write_comparison, write_report

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

ORDERS = {
    "class": lambda elite: elite["class"],
    "confidence": lambda elite: -elite["fitness"],
    "age": lambda elite: elite["born"],
    "birth": lambda elite: -elite["born"],
}


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A page of 1000 elites, and one that compares two runs of ten."""
    folder = tmp_path_factory.mktemp("pages")
    write_run(folder / "thousand", side=100)
    write_run(folder / "a", labels="0123456789", side=28)
    write_run(folder / "b", labels="0123456789", side=28, seed=1, encoding="direct")
    report = write_report(folder / "thousand", out=folder / "report.html")
    return report, write_comparison(folder / "a", folder / "b", out=folder / "compare.html")


def labels(page):
    # Not as rendered: what is far from the window is not.
    return page.locator("#wall .label").all_text_contents()


def test_a_thousand_elites_are_small_and_soon_there(pages, visit):
    assert pages[0].stat().st_size < 8e6
    times = []
    for _ in range(3):
        page = visit(pages[0])
        times.append(page.wait_for_function(FIRST_PICTURE).json_value())
    assert min(times) < 2000, f"first picture after {times} ms"
    assert page.locator("#wall li").count() == 1000
    # The others wait until they are near the window.
    assert page.locator("#wall img[src]").count() < 300
    page.locator("#wall li").last.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('#wall li:last-child img').naturalWidth")


def test_search_sort_and_filter(pages, visit):
    page = visit(pages[0])
    names = imagenet_labels()[1]
    page.fill("#search", "LION")
    output = labels(page)
    assert output
    assert len(output) == sum("lion" in name.lower() for name in names)
    page.fill("#search", "n02129165")
    assert labels(page) == ["lion"]
    assert page.inner_text("#count") == "1 of 1,000"
    page.fill("#search", "no such thing")
    assert page.locator("#none").is_visible()
    page.fill("#search", "")
    data = re.search(r'id="data">(.*?)</script>', pages[0].read_text(), re.S)[1]
    elites = json.loads(data)["runs"][0]["elites"]
    for order, key in ORDERS.items():
        page.select_option("#sort", order)
        ordered = sorted(elites, key=lambda elite: (key(elite), elite["class"]))
        assert labels(page) == [elite["label"].split(",")[0] for elite in ordered], order
    page.fill("#least", "50")
    page.fill("#most", "90")
    left = [float(text.rstrip("%")) for text in page.locator("#wall .odds").all_text_contents()]
    assert 0 < len(left) < 1000
    assert all(49.9 <= p <= 90 for p in left)


def test_an_elite_opens_large_by_mouse_and_keys(pages, visit):
    page = visit(pages[0])
    page.select_option("#sort", "class")
    page.locator(".tile").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    dialog = page.locator("dialog")
    assert dialog.locator("h2").inner_text().startswith("goldfish")
    assert dialog.locator(".bars li").count() == 5
    assert "generation" in dialog.locator(".about").inner_text()
    assert dialog.locator(".chain li").count() >= 1
    assert dialog.locator("svg circle").count() == 8
    page.wait_for_function("() => document.querySelector('.whole img').naturalWidth === 100")
    page.keyboard.press("ArrowRight")
    assert dialog.locator("h2").inner_text().startswith("great white shark")
    dialog.locator("summary").click()
    playwright.expect(dialog.locator("pre")).to_contain_text('"format": "qd_fool.cppn"')
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    focused = "() => document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused).startswith("great white shark")
    page.keyboard.press("End")
    assert page.evaluate(focused).startswith("toilet tissue")
    page.locator(".tile").first.click()
    assert dialog.is_visible()


def test_a_single_file_needs_no_other(visit, tmp_path):
    write_run(tmp_path / "r", labels="0123456789", side=28)
    alone = write_report(tmp_path / "r", out=tmp_path / "alone.html", single_file=True)
    shutil.rmtree(tmp_path / "r")
    page = visit(alone)
    page.locator(".tile").first.click()
    page.wait_for_function("() => document.querySelector('.whole img').naturalWidth === 28")
    assert page.locator("a[download]").count() == 1


def test_an_address_leads_to_an_elite(pages, visit):
    page = visit(pages[0], fragment="elite-291")
    assert page.locator("dialog h2").inner_text().startswith("lion")


def test_charts_are_drawn_and_tabs_obey_the_keys(pages, visit):
    page = visit(pages[0])
    page.locator("#tab-elites").focus()
    page.keyboard.press("ArrowRight")
    titles = page.locator("#charts h2").all_inner_texts()
    assert titles == ["Confidence", "Cells over thresholds", "Replacements", "Goal switches"]
    assert page.locator("#charts svg path[d*=NaN]").count() == 0
    page.locator("#charts svg").first.hover()
    assert "evaluations: median" in page.locator(".readout").first.inner_text()
    page.keyboard.press("ArrowRight")
    assert "lenet" in page.locator("#settings").inner_text()


def test_two_runs_side_by_side(pages, visit):
    page = visit(pages[1])
    assert page.locator("#wall li").count() == 10
    page.wait_for_function(FIRST_PICTURE)
    assert page.locator("#wall li").first.locator("img").count() == 2
    page.select_option("#sort", "b-better")
    page.locator(".tile").first.click()
    sides = page.locator("dialog .side")
    assert sides.count() == 2
    assert sides.nth(0).locator("circle").count() == 8
    assert "Pixel values" in sides.nth(1).inner_text()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.whole img')].every((i) => i.naturalWidth === 28)"
    )
    page.keyboard.press("Escape")
    page.click("#tab-charts")
    assert page.locator("#charts figure").count() == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_without_scrolling_sideways(pages, visit, scheme):
    for path in pages:
        page = visit(path, width=375, color_scheme=scheme)
        wide = "() => document.documentElement.scrollWidth > innerWidth"
        for tab in ("charts", "settings", "elites"):
            page.click(f"#tab-{tab}")
            assert not page.evaluate(wide), tab
        page.locator(".tile").first.click()
        dialog = "() => document.querySelector('dialog')"
        assert page.evaluate(f"({dialog})().scrollWidth") <= 375
        back = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
        assert back == {"light": "rgb(255, 255, 255)", "dark": "rgb(19, 21, 25)"}[scheme]


HIT = "window.hit = (window.hit || 0) + 1"
HOSTILE = (
    f'<img src=x onerror="{HIT}">',
    f"</script><script>{HIT}</script>",
    f"</style><svg onload='{HIT}'>",
    f'"><b onmouseover="{HIT}">x</b>',
    f"javascript:{HIT}",
    "{{ 7 * 7 }}{% raw %}",
    "\u2028\u2029<!--",
    "__proto__",
    "constructor",
    "toString",
)
"""Labels that would do something if any part of the page took them for markup."""


def test_names_from_files_do_nothing(tmp_path, visit):
    run = tmp_path / "run<i>"
    write_run(run, labels=HOSTILE, side=16)
    path = run / "run.json"
    record = json.loads(path.read_text())
    record["config"] |= {"model": HOSTILE[0], "activations": HOSTILE[1], "preset": HOSTILE[2]}
    record |= {"versions": {HOSTILE[1]: HOSTILE[0]}, "status": "paused"}
    record["device"]["kind"] = HOSTILE[3]
    path.write_text(json.dumps(record))
    csv = run / "elites.csv"
    png = "javascript:window.hit=9"  # the name of a file, too
    shutil.copy(run / "elites" / "0004.png", run / png)
    csv.write_text(csv.read_text().replace("elites/0004.png", png, 1))
    for out, single in (("plain.html", False), ("single.html", True)):
        page = visit(write_report(run, out=run / out, single_file=single))
        assert sorted(labels(page)) == sorted(name.split(",")[0] for name in HOSTILE)
        for i in range(len(HOSTILE)):
            page.locator("#wall li").nth(i).click()
            page.locator("#elite").hover()
            link = page.locator("#elite a[href]").first.get_attribute("href")
            assert not link.startswith("javascript:")
            page.keyboard.press("Escape")
        for tab in ("charts", "settings"):
            page.click(f"#tab-{tab}")
        page.click("#tab-elites")
        page.fill("#search", "<img")
        assert page.evaluate("window.hit") is None
        assert page.locator("img[onerror], [onload], [onmouseover]").count() == 0
