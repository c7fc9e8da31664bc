"""A run with 21,841 cells: its memory, its files, and its page in Chromium.

The network is a synthetic head on SqueezeNet 1.1 (`many_classes_network.py`). The run and what it
cost stay in `build/many_classes`: a second call measures only the page again.
"""

import argparse
import json
import resource
import shutil
import statistics
import sys
import time
from pathlib import Path

from common import HERE, finished, report
from many_classes_network import write_network
from trials import finish

from qd_fool.models import load_scorer
from qd_fool.runs.directory import read_run

FIRST_PICTURE = """() => {
  const image = document.querySelector("#wall img");
  return image && image.complete && image.naturalWidth > 0 && performance.now();
}"""
FILES = ("report.html", "report_data.js", "elites.csv", "contact_sheet.png", "archive.npz")


def main():
    """Evolve, open the page, and show what direct genomes would need."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="weights of SqueezeNet 1.1 instead of its own")
    parser.add_argument("--classes", type=int, default=21_841)
    parser.add_argument("--evaluations", type=int, default=20_080)
    arguments = parser.parse_args()
    folder = HERE.parent / "build" / "many_classes"
    folder.mkdir(parents=True, exist_ok=True)
    network = folder / "many.onnx", folder / "many.txt"
    if not all(path.exists() for path in network):
        scorer = load_scorer("squeezenet1.1", weights=arguments.weights)
        write_network(scorer, folder, classes=arguments.classes)
    words = ["evolve", "--model", f"onnx:{network[0]}", "--labels", network[1]]
    words += ["--image-size", 256, "--preset", "fast"]
    run_dir, cost = folder / "run", folder / "cost.json"
    if not finished(run_dir) or not cost.exists():
        shutil.rmtree(run_dir, ignore_errors=True)
        started = time.monotonic()
        more = ["--encoding", "cppn", "--evaluations", arguments.evaluations]
        finish(*words, *more, "--run-dir", run_dir)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        unit = 1 if sys.platform == "darwin" else 1024
        cost.write_text(json.dumps({"wall": time.monotonic() - started, "peak": peak * unit}))
    said = finish(*words, "--encoding", "direct", "--explain", expected=(0, 2))
    rows = [*costs(run_dir, json.loads(cost.read_text())), *page(run_dir), direct(said)]
    report(
        "many_classes",
        [{"what": name, "found": found} for name, found in rows],
        words=f"A synthetic head of {arguments.classes:,} classes on SqueezeNet 1.1, CPPNs of "
        "256x256 pixels, `--preset fast`. Seconds are those of a machine that also did other work.",
    )


def costs(run_dir: Path, cost: dict[str, float]) -> list[tuple[str, str]]:
    """Rows about the run and its files."""
    record = read_run(run_dir)
    after = cost["wall"] - record["seconds"] - record["compile_seconds"]
    pictures = [path.stat().st_size for path in (run_dir / "elites").iterdir()]
    rows = [
        ("cells with an elite, evaluations", f"{len(pictures):,}, {record['evaluations']:,}"),
        ("peak memory of the process", f"{cost['peak'] / 1e9:.2f} GB"),
        ("s of the generations", f"{record['seconds']:.0f}"),
        ("s to load, draw, score again and write", f"{after:.0f}"),
        ("PNGs scored again differ by at most", f"{record['png_rescored_max_difference']:.1g}"),
        *((name, size((run_dir / name).stat().st_size)) for name in FILES),
        ("elites/", size(sum(pictures))),
    ]
    return rows


def page(run_dir: Path) -> list[tuple[str, str]]:
    """Rows about the page in Chromium, opened from disk."""
    from playwright.sync_api import sync_playwright

    address = (run_dir / "report.html").resolve().as_uri()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as api:
        browser = api.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        first = []
        for _ in range(5):
            shown = browser.new_page(viewport={"width": 1200, "height": 800})
            shown.goto(address, wait_until="commit")
            first.append(shown.wait_for_function(FIRST_PICTURE).json_value() / 1000)
        most = 0
        shown.mouse.move(600, 500)
        for _ in range(40):
            shown.mouse.wheel(0, 1500)
            shown.wait_for_timeout(50)
            most = max(most, shown.locator("#wall li").count())
        shown.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        shown.wait_for_function("() => document.querySelector('#wall li:last-child img[src]')")
        last = shown.locator("#wall li").last.get_attribute("aria-posinset")
        search = timed(lambda: shown.fill("#search", "thing 12345"))
        found = shown.inner_text("#count")
        shown.fill("#search", "")
        sort = timed(lambda: shown.select_option("#sort", "label"))
        shown.locator(".tile").first.click()
        opened = timed(lambda: shown.locator("dialog svg circle").first.wait_for())
        browser.close()
    return [
        ("s to the first picture, median and most of five", f"{middle(first)}, {max(first):.2f}"),
        ("tiles in the document while scrolling, at most", f"{most}"),
        ("last tile after a jump to the end", f"{int(last or 0):,}"),
        (f"s to search one label ({found})", f"{search:.2f}"),
        ("s to sort by label", f"{sort:.2f}"),
        ("s until the first opened elite shows its graph", f"{opened:.2f}"),
    ]


def direct(said: str) -> tuple[str, str]:
    """A row about direct genomes: the sentence of the refusal, if there is one."""
    sentence = " ".join(said.split()).split("qd-fool: ")
    return "`--encoding direct`", sentence[-1] if len(sentence) > 1 else "not refused"


def middle(seconds: list[float]) -> str:
    """The median, for the table."""
    return f"{statistics.median(seconds):.2f}"


def timed(call):
    """The seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def size(count: int) -> str:
    """Bytes in words."""
    return f"{count / 1e6:.1f} MB"


if __name__ == "__main__":
    main()
