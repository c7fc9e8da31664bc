"""A wheel that stands alone: built, installed into an empty environment, run, and its page opened.

`make check-wheel` runs this script. It builds the sdist and the wheel, builds the wheel again from
the sdist and compares the two, installs the wheel into a new environment outside the checkout, runs
one short evolution there and opens the page that the run leaves.
"""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

from playwright.sync_api import sync_playwright

CHECKOUT = Path(__file__).parents[1]
CELLS = 10


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command outside the checkout; its output is shown if it fails."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def contents(wheel: Path) -> dict[str, str]:
    """SHA-256 of each file in a wheel, by its name."""
    with zipfile.ZipFile(wheel) as file:
        return {n: hashlib.sha256(file.read(n)).hexdigest() for n in file.namelist()}


def build(source: Path, out: Path, kind: str) -> Path:
    """Build an sdist or a wheel from a folder."""
    run(sys.executable, "-m", "build", f"--{kind}", "--outdir", out, source, cwd=out)
    (built,) = out.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return built


def build_both(work: Path) -> Path:
    """The wheel, after the sdist has been seen to build the same one."""
    folders = [work / name for name in ("sdist", "wheel", "again", "unpacked")]
    for folder in folders:
        folder.mkdir()
    sdist = build(CHECKOUT, folders[0], "sdist")
    wheel = build(CHECKOUT, folders[1], "wheel")
    with tarfile.open(sdist) as archive:
        archive.extractall(folders[3], filter="data")
    (source,) = folders[3].iterdir()
    again = build(source, folders[2], "wheel")
    first, second = contents(wheel), contents(again)
    different = sorted(name for name in first | second if first.get(name) != second.get(name))
    if different:
        sys.exit(f"the sdist builds another wheel: {', '.join(different)} differ")
    size = wheel.stat().st_size / 1e6
    print(f"{wheel.name}: {len(first)} files, {size:.1f} MB, the same from the sdist")
    return wheel


def open_page(page_file: Path) -> None:
    """Open a report page in Chromium; it must show each elite's picture and log no error."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no Chromium: the page was written, and was not opened")
        return
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        with contextlib.closing(browser):
            page, problems = browser.new_page(), []
            page.on("pageerror", lambda error: problems.append(str(error)))
            page.on("console", lambda m: problems.append(m.text) if m.type == "error" else None)
            page.goto(page_file.as_uri())
            page.wait_for_selector("img")
            shown = page.evaluate(
                "[...document.images].filter(i => i.complete && i.naturalWidth > 0).length"
            )
    if problems or shown < CELLS:
        sys.exit(f"{page_file.name}: {shown} pictures shown, errors: {problems or 'none'}")
    print(f"{page_file.name}: {shown} pictures shown, no errors")


def main() -> None:
    """Build, install, evolve, look."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        wheel = build_both(work)
        venv.create(work / "empty", with_pip=True)
        python = work / "empty" / "bin" / "python"
        # Python compiles what the run imports, which is a small part of what is installed.
        run(python, "-m", "pip", "install", "--quiet", "--no-compile", wheel, cwd=work)
        where = run(python, "-c", "import qd_fool; print(qd_fool.__file__)", cwd=work)
        if str(CHECKOUT) in where:
            sys.exit(f"expected the installed package, found {where}")
        command = work / "empty" / "bin" / "qd-fool"
        run(command, "evolve", "--generations", "5", "--run-dir", "run", cwd=work)
        elites = list((work / "run" / "elites").glob("*.png"))
        if len(elites) != CELLS:
            sys.exit(f"expected {CELLS} elites, found {len(elites)}")
        print(f"evolved {len(elites)} elites from the installed wheel")
        open_page(work / "run" / "report.html")


if __name__ == "__main__":
    main()
