"""The plots of a retraining on MNIST: the table as curves, and a sheet of fooling images."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from qd_fool.files import read_npz, replacing
from qd_fool.runs.pictures import to_image
from qd_fool.scoring.confidence import log_odds_of, percent

CELL = 64
"""Side of a thumbnail in pixels."""


TICKS = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999, 0.9999999)


def write_pictures(run_dir: Path, rows: Sequence[dict[str, Any]], *, other: str) -> None:
    """Write `retrain.png` and `contact_sheet.png`.

    Args:
      run_dir: Directory of the retraining, with the pictures of all rounds.
      rows: Rows of the table.
      other: Encoding whose pictures no network was trained on.

    Raises:
      UserError: The pictures of a round are missing or damaged.
    """
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 9}):
        figure = _curves(rows, other=other)
        with replacing(run_dir / "retrain.png") as partial:
            figure.savefig(partial, dpi=150)
    with replacing(run_dir / "contact_sheet.png") as partial:
        _sheet(run_dir, rows).save(partial)


def _curves(rows: Sequence[dict[str, Any]], *, other: str) -> matplotlib.figure.Figure:
    """Three plots over the rounds: test error, confidence, and shares of caught pictures."""
    figure = matplotlib.figure.Figure(figsize=(7, 8), layout="constrained")
    errors, confidence, caught = figure.subplots(3, 1, sharex=True)
    numbers = np.asarray([row["round"] for row in rows])

    # Test error on digits.
    errors.plot(numbers, [100 * row["test_error"] for row in rows], "o-", color="tab:gray")
    errors.set_ylim(0, 115 * max(row["test_error"] for row in rows) or 1)
    errors.set_ylabel("test error\non digits, %")

    # Confidence in the pictures that were evolved against each network, on an axis of log-odds.
    def logit(name: str) -> np.ndarray:
        values = np.asarray([np.nan if row[name] is None else row[name] for row in rows], float)
        return log_odds_of(np.clip(values, 1e-9, 1 - 1e-9))

    low, high = logit("median_low"), logit("median_high")
    confidence.fill_between(numbers, low, high, alpha=0.25, color="tab:blue", linewidth=0)
    confidence.plot(numbers, logit("median_confidence"), "o-", color="tab:blue", label="trained on")
    drawn = [low, high]
    if any(row["other_median_confidence"] is not None for row in rows):
        drawn.append(logit("other_median_confidence"))
        confidence.plot(numbers, drawn[-1], "s--", color="tab:orange", label=f"{other}, held out")
        confidence.legend(loc="best")
    ticks = np.asarray(TICKS)
    spots = log_odds_of(ticks)
    least, most = np.nanmin(drawn) - 1, np.nanmax(drawn) + 1
    shown = (spots >= least) & (spots <= most)
    confidence.set_yticks(spots[shown], [f"{100 * t:g}%" for t in ticks[shown]])
    confidence.set_ylim(least, most)
    confidence.set_ylabel("median confidence in\npictures evolved against it")

    # Shares of the last round's pictures that are called fooling images.
    lines = {
        "caught": ("o-", "tab:blue", "trained on"),
        "caught_held_out": ("^--", "tab:green", "other seeds"),
        "caught_other": ("s--", "tab:orange", f"{other}, other seeds"),
    }
    for name, (style, color, label) in lines.items():
        values = [np.nan if row[name] is None else 100 * row[name] for row in rows]
        if not np.all(np.isnan(values)):
            caught.plot(numbers, values, style, color=color, label=label)
    if caught.lines:
        caught.legend(loc="center left")
    caught.set_ylim(-3, 103)
    caught.set_ylabel("caught of pictures that\nfooled the network before, %")
    caught.set_xlabel("network")
    caught.set_xticks(numbers, [row["network"].removeprefix("DNN_") for row in rows])
    for axes in (errors, confidence, caught):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _sheet(run_dir: Path, rows: Sequence[dict[str, Any]]) -> Image.Image:
    """One row per network, one column per digit: the first seed's picture and its confidence."""
    margin, left, top, caption = 6, 64, 24, 16
    pitch_x, pitch_y = CELL + margin, CELL + margin + caption
    font, small = (ImageFont.load_default(size=size) for size in (13, 10))
    size = (left + 10 * pitch_x + margin, top + len(rows) * pitch_y + margin)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for digit in range(10):
        x = left + digit * pitch_x + CELL // 2
        draw.text((x, top // 2), str(digit), fill="black", font=font, anchor="mm")
    for i, row in enumerate(rows):
        y = top + i * pitch_y
        draw.text((margin, y + CELL // 2), row["network"], fill="black", font=font, anchor="lm")
        arrays = read_npz(run_dir / f"round_{row['round']:02d}" / "images.npz")
        # The pictures to train on come first, the ten of a seed side by side.
        for k in range(10):
            x = left + int(arrays["cell"][k]) * pitch_x
            image = to_image(arrays["images"][k])
            sheet.paste(image.resize((CELL, CELL), Image.Resampling.NEAREST), (x, y))
            text = percent(float(arrays["confidence"][k]))
            middle = (x + CELL // 2, y + CELL + 2)
            draw.text(middle, text, fill="black", font=small, anchor="mt")
    return sheet
