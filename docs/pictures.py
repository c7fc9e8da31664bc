"""Make the pictures of README and the documentation from an archive of ImageNet's classes.

python docs/pictures.py archives/imagenet_cppn_squeezenet

It writes into `pages/pictures/`: `best.webp`, the most confident elites; `wall.webp` and
`elite.webp`, the report page in Chromium.
"""

import argparse
import io
import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page, sync_playwright

from qd_fool.cli import main as command
from qd_fool.runs.elites import open_elite, read_elites
from qd_fool.scoring.confidence import percent

OUT = Path(__file__).parent / "pages" / "pictures"
CHROMIUM = os.environ.get("QD_FOOL_CHROMIUM") or shutil.which("chromium")


def best(run: Path, *, columns: int = 6, rows: int = 2, side: int = 160) -> Image.Image:
    """The most confident elites, each picture once: an individual may hold several cells."""
    ordered = sorted(read_elites(run), key=lambda elite: -float(elite["fitness"]))
    unique: dict[str, dict[str, str]] = {}
    for elite in ordered:
        unique.setdefault(elite["id"], elite)
    elites = list(unique.values())[: columns * rows]
    font, gap, text = ImageFont.load_default(size=15), 10, 42
    width, height = columns * (side + gap) + gap, rows * (side + gap + text) + gap
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    for i, elite in enumerate(elites):
        x, y = gap + i % columns * (side + gap), gap + i // columns * (side + gap + text)
        picture = open_elite(run, elite["png"]).convert("RGB")
        sheet.paste(picture.resize((side, side), Image.Resampling.LANCZOS), (x, y))
        draw.rectangle((x - 1, y - 1, x + side, y + side), outline="lightgray")
        label = elite["label"].split(",")[0]
        while font.getlength(label) > side:
            label = label[:-2] + "…"
        caption = f"{label}\n{percent(float(elite['confidence']))}"
        draw.multiline_text((x, y + side + 3), caption, fill="black", font=font)
    return sheet


def seen(page: Page) -> Image.Image:
    """A picture of the window, after all its pictures are loaded."""
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    return Image.open(io.BytesIO(page.screenshot()))


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path, help="a run directory; it is not changed")
    asked = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as api:
        run = Path(folder) / "run"
        shutil.copytree(asked.run, run)
        if command(["report", str(run)]):  # this draws missing pictures
            raise SystemExit(f"{asked.run}: its page could not be written")
        browser = api.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto((run / "report.html").as_uri())
        page.select_option("#sort", "confidence")
        pictures = {"best": best(run), "wall": seen(page)}
        page.set_viewport_size({"width": 1280, "height": 1040})
        page.locator(".tile").first.click()
        pictures["elite"] = seen(page)
        browser.close()
    for name, picture in pictures.items():
        picture.convert("RGB").save(OUT / f"{name}.webp", quality=80, method=6)


if __name__ == "__main__":
    main()
