"""Make the picture of audited classifiers, `pages/pictures/audited.webp`.

python docs/audited.py audits/open-nsfw audits/fer

Each row shows the most confident pictures of one audit: those of the audit's page.
"""

import argparse
import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from qd_fool.scoring.confidence import percent

OUT = Path(__file__).parent / "pages" / "pictures" / "audited.webp"
COLUMNS, SIDE, GAP, TEXT = 6, 150, 10, 42
"""Pictures per row; pixels of a picture, between pictures, and below each."""


def row(audit: Path) -> Image.Image:
    """The most confident pictures of an audit, with class, confidence and method."""
    report = json.loads((audit / "audit.json").read_text(encoding="utf-8"))
    font = ImageFont.load_default(size=14)
    strip = Image.new("RGB", (COLUMNS * (SIDE + GAP) + GAP, SIDE + GAP + TEXT + 22), "white")
    draw = ImageDraw.Draw(strip)
    draw.text((GAP, 2), report["network"]["name"], fill="black", font=font)
    for i, found in enumerate(report["worst"][:COLUMNS]):
        x, y = GAP + i * (SIDE + GAP), 26
        with Image.open(audit / found["path"]) as image:
            picture = image.convert("RGB")
        small = max(picture.size) <= 64
        scale = SIDE / max(picture.size)
        size = (round(picture.width * scale), round(picture.height * scale))
        method = Image.Resampling.NEAREST if small else Image.Resampling.LANCZOS
        strip.paste(picture.resize(size, method), (x, y + (SIDE - size[1]) // 2))
        label = report["network"]["classes"][found["class_index"]].replace("_", " ")
        while font.getlength(label) > SIDE:
            label = label[:-2] + "…"
        caption = f"{label}\n{percent(found['confidence'])}, {found['method']}"
        draw.multiline_text((x, y + SIDE + 3), caption, fill="black", font=font)
    return strip


def main() -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("audits", type=Path, nargs="+", help="directories of finished audits")
    rows = [row(audit) for audit in parser.parse_args().audits]
    sheet = Image.new("RGB", (rows[0].width, sum(each.height for each in rows)), "white")
    top = 0
    for each in rows:
        sheet.paste(each, (0, top))
        top += each.height
    sheet.save(OUT, quality=80, method=6)


if __name__ == "__main__":
    main()
