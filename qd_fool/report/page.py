"""`report.html`: one page for a run, that opens from disk; reads the run directory only."""

import base64
import io
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import matplotlib.figure
import numpy as np
from markupsafe import Markup
from PIL import Image

from qd_fool.files import replacing
from qd_fool.report.sheet import percent, write_contact_sheet
from qd_fool.runs import open_elite, read_elites, read_metrics, read_run


def write_report(run_dir: Path) -> Path:
    """Write `report.html`, and the contact sheet that it links to.

    Raises:
      UserError: not a run directory, or one without elites.
    """
    run = read_run(run_dir)
    metrics = read_metrics(run_dir)
    elites = [_elite(run_dir, row) for row in read_elites(run_dir)]
    write_contact_sheet(run_dir)
    template = resources.files("qd_fool.report").joinpath("page.html.j2").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True)
    page = environment.from_string(template).render(
        name=run_dir.resolve().name,
        run=run,
        elites=elites,
        percent=percent,
        chart=_chart(metrics),
        wanted=_wanted(run, elites),
        median=percent(float(np.median(_all_confidences(run, elites)))),
    )
    path = run_dir / "report.html"
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _all_confidences(run: dict[str, Any], elites: list[dict[str, Any]]) -> np.ndarray:
    """Of every cell that was to be filled, an empty one counting as 0."""
    confidences = np.zeros(max(_wanted(run, elites), 1))
    for i, elite in enumerate(elites):
        confidences[i] = elite["confidence"]
    return confidences


def _wanted(run: dict[str, Any], elites: list[dict[str, Any]]) -> int:
    """Cells that were to be filled: an ascent is after those classes only that it was asked for."""
    return len(elites) if run.get("kind") == "ascent" else int(run["classes"])


def _elite(run_dir: Path, row: dict[str, str]) -> dict[str, Any]:
    confidence = float(row["confidence"])
    return {
        **row,
        "confidence": confidence,
        "percent": percent(confidence),
        "thumbnail": _thumbnail(open_elite(run_dir, row["png"])),
    }


def _thumbnail(image: Image.Image, *, side: int = 96) -> str:
    """At most `side` pixels as a data URI: small pictures exactly as they are, others packed."""
    data = io.BytesIO()
    kind = "png"
    if max(image.size) > side:
        image.thumbnail((side, side))
        kind = "webp"  # a thousand PNGs of noise would make a page of 30 MB
    image.save(data, kind, **{"quality": 80} if kind == "webp" else {"optimize": True})
    return f"data:image/{kind};base64," + base64.b64encode(data.getvalue()).decode()


def _chart(metrics: dict[str, np.ndarray]) -> Markup:
    """Doubt (1 - confidence) of the best, median, mean and worst cell over evaluations, as SVG."""
    with matplotlib.rc_context({"svg.hashsalt": "qd_fool", "svg.fonttype": "none"}):
        figure = matplotlib.figure.Figure(figsize=(7.5, 3.2), layout="constrained")
        axes = figure.add_subplot()
        x = metrics["evaluations"]
        for name, colour in (
            ("min", "#c44"),
            ("mean", "#a80"),
            ("median", "#26a"),
            ("max", "#383"),
        ):
            # Confidence is logged in float32: what rounds to 1 is drawn at its resolution.
            doubt = np.maximum(1 - metrics[f"{name}_confidence"], 2.0**-24)
            label = {"min": "least confident cell", "max": "most confident cell"}.get(name, name)
            axes.plot(x, doubt, color=colour, label=label, linewidth=1.5)
        axes.set(xlabel="evaluations", ylabel="1 - confidence", yscale="log")
        axes.axhline(1e-4, color="#888", linewidth=0.8, linestyle=":")
        axes.annotate(
            "confidence 0.9999",
            (0.99, 1e-4),
            xycoords=("axes fraction", "data"),
            ha="right",
            va="bottom",
            fontsize=8,
            color="#666",
        )
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
        svg = io.StringIO()
        figure.savefig(svg, format="svg", metadata={"Date": None}, transparent=True)
    text = svg.getvalue()
    # Made here from numbers only: safe to put into the page as markup.
    return Markup(text[text.index("<svg") :])  # noqa: S704
