"""Gradient ascent: classes that reach each confidence, steps that it takes, and pictures.

Each row is a run of `qd-fool ascend`, kept under --runs. Finished runs are not repeated.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np
from common import HERE, finished, report
from PIL import Image, ImageDraw

from qd_fool.cli import main as qd_fool
from qd_fool.commands.ascend.table import THRESHOLDS

HUNDRED, FEW = "0:1000:10", "99,278,906"
"""Every tenth class; and three of the six classes of the original's search."""
JOBS = {
    "lenet": [
        ("adam, from noise", ["--classes", "all", "--start", "uniform"]),
        ("paper", ["--classes", "all", "--preset", "paper"]),
        ("seed-1", ["--classes", "all", "--preset", "seed-1"]),
    ],
    "squeezenet1.1": [
        ("adam", ["--classes", HUNDRED]),
        ("probability, no decay", ["--classes", FEW, "--preset", "seed-1"]),
        ("paper (decay .01)", ["--classes", FEW, "--preset", "paper"]),
        ("seed188 (decay .001, blur)", ["--classes", FEW, "--preset", "seed188"]),
        ("seed169 (decay .01)", ["--classes", FEW, "--preset", "seed169"]),
        ("seed360 (decay .001, blur, sparse)", ["--classes", FEW, "--preset", "seed360"]),
    ],
    "efficientnet-lite0": [("adam", ["--classes", HUNDRED])],
}


def row_of(model, name, run_dir):
    """The row of one run."""
    run = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    with (run_dir / "ascent.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    iterations = run["ascent"]["iterations"]
    row = {"model": model, "setting": name, "classes": len(rows), "iterations": iterations}
    for t in THRESHOLDS:
        steps = [int(r[f"first_{str(t)[2:]}"] or iterations) for r in rows]
        median = np.median(steps)
        row[f">= {t}"] = sum(s < iterations for s in steps)
        row[f"median steps to {t}"] = f"{median:g}" if median < iterations else "never"
    for kind in ("best", "final"):
        row[f"median {kind}"] = round(
            float(np.median([float(r[f"{kind}_confidence"]) for r in rows])), 5
        )
    row["median moved"] = round(float(np.median([float(r["distance"]) for r in rows])))
    row["PNGs differ by"] = f"{run['png_rescored_max_difference']:.1g}"
    return row


def picture(runs, to, side=150):
    """Draw one row per setting and two columns per class: as saved, and minus the mean."""
    classes = FEW.split(",")
    sheet = Image.new("RGB", (2 * side * len(classes), (side + 16) * len(runs)), "white")
    draw = ImageDraw.Draw(sheet)
    for y, (name, run_dir) in enumerate(runs):
        top = y * (side + 16)
        draw.text((4, top + 2), name, fill="black")
        for x, k in enumerate(classes):
            for half, folder in enumerate(("elites", "mean_subtracted")):
                (path,) = sorted((run_dir / folder).glob(f"{int(k):04d}_*.png"))
                with Image.open(path) as image:
                    small = image.convert("RGB").resize((side - 2, side - 2))
                sheet.paste(small, ((2 * x + half) * side, top + 16))
    sheet.save(to, quality=85)


def main():
    """Run missing runs, and write the table and the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(JOBS), choices=JOBS)
    parser.add_argument("--weights", type=Path, help="weights for squeezenet1.1")
    parser.add_argument("--runs", type=Path, default=Path("build/ascent"))
    arguments = parser.parse_args()
    rows, shown = [], []
    for model in arguments.models:
        for i, (name, flags) in enumerate(JOBS[model]):
            run_dir = arguments.runs / f"{model}-{i}"
            words = ["ascend", "--model", model, "--run-dir", str(run_dir), *flags]
            if model == "squeezenet1.1" and arguments.weights:
                words += ["--weights", str(arguments.weights)]
            if not finished(run_dir):
                if run_dir.exists():
                    words.append("--resume")
                if qd_fool(words) != 0:
                    raise SystemExit(f"failed: qd-fool {' '.join(words)}")
            rows.append(row_of(model, name, run_dir))
            if model == "squeezenet1.1" and FEW in flags:
                shown.append((f"{name}, {rows[-1]['iterations']} iterations", run_dir))
    report(
        "ascent",
        rows,
        words="Gradient ascent, one row per run of `qd-fool ascend`. Confidences are those of the "
        "saved 8-bit pictures. Steps count from 0, the start. The median is over all classes; "
        "classes that never reach the confidence come last. On SqueezeNet, the original's settings "
        "ran on three classes of the original's search.",
    )
    if shown:
        picture(shown, HERE / "ascent.webp")


if __name__ == "__main__":
    main()
