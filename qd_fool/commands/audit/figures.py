"""The figures of an audit: classes fooled against evaluations, and reliability."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.figure
import numpy as np

from qd_fool.files import replacing
from qd_fool.judge.audit.fooled import first_evaluations
from qd_fool.judge.audit.report import AuditReport, Photographs
from qd_fool.judge.audit.words import searched

INK = "#010203"
"""Colour of text and axes, which the page replaces by the colour of its text."""

COLORS = {"cppn": "#1f77b4", "direct": "#d9731a", "gradient": "#3a9d5d"}

STYLE: Any = {
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "audit",
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK
    ),
}


def write_figures(folder: Path, report: AuditReport) -> dict[str, str]:
    """Write the figures as PNG and SVG.

    Args:
      folder: Folder to write to.
      report: Result of an audit.

    Returns:
      SVG of each figure by name, in the colours of the page around it.
    """
    folder.mkdir(exist_ok=True)
    found: dict[str, Callable[[], matplotlib.figure.Figure]] = {"fooled": lambda: _curves(report)}
    if (photos := report.photographs) is not None:
        found["reliability"] = lambda: _reliability(photos)
    inline = {}
    with matplotlib.rc_context(STYLE):
        for name, draw in found.items():
            figure = draw()
            for suffix in (".png", ".svg"):
                with replacing(folder / f"{name}{suffix}") as partial:
                    figure.savefig(partial, dpi=150, **_quiet(suffix))
            buffer = io.StringIO()
            figure.savefig(buffer, format="svg", transparent=True, **_quiet(".svg"))
            inline[name] = _inline(buffer.getvalue(), name)
    return inline


def _quiet(suffix: str) -> Any:
    """Metadata without a date: equal audits give equal files."""
    return {"metadata": {"Date": None}} if suffix == ".svg" else {"metadata": {"Software": None}}


def _inline(svg: str, name: str) -> str:
    """An SVG element for a page: no prolog, names of its own, and the page's colour for ink."""
    body = svg[svg.index("<svg") :].replace(INK, "currentColor")
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', body)
    body = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", body)
    body = re.sub(r' height="[^"]+pt"', "", body, count=1)
    return re.sub(r'(<svg[^>]*?) width="[^"]+"', r"\1", body, count=1)


def _curves(report: AuditReport) -> matplotlib.figure.Figure:
    methods = searched(report)
    thresholds = [each.threshold for each in methods[0].fooled]
    figure = matplotlib.figure.Figure((3.1 * len(thresholds), 2.9), layout="constrained")
    axes = figure.subplots(1, len(thresholds), sharey=True)
    for axis, threshold in zip(axes, thresholds, strict=True):
        for method in methods:
            first = first_evaluations(method.searches, threshold)
            end = report.settings.shares[method.name]
            at = np.unique(np.append(first[np.isfinite(first)], end))
            share = [(first <= n).mean() for n in at]
            color = COLORS[method.name]
            axis.step(at, share, where="post", color=color, label=method.name, linewidth=1.6)
            axis.plot(end, share[-1], "o", color=color, markersize=3)
        axis.set(xscale="log", ylim=(-0.03, 1.03), title=f"confidence {threshold:g} or more")
        axis.set_xlabel("counted evaluations")
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        axis.minorticks_off()
    axes[0].set_ylabel("share of classes fooled")
    axes[0].legend(frameon=False, labelcolor=INK)
    return figure


def _reliability(photos: Photographs) -> matplotlib.figure.Figure:
    figure = matplotlib.figure.Figure((3.6, 3.2), layout="constrained")
    axis = figure.subplots()
    filled = [each for each in photos.bins if each.count]
    axis.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
    sizes = [12 + 90 * each.count / photos.count for each in filled]
    confidence = [each.confidence or 0.0 for each in filled]
    accuracy = [each.accuracy or 0.0 for each in filled]
    axis.plot(confidence, accuracy, color=COLORS["cppn"], linewidth=1.0)
    axis.scatter(confidence, accuracy, sizes, color=COLORS["cppn"])
    axis.set(xlim=(0, 1.02), ylim=(0, 1.02), xlabel="confidence", ylabel="accuracy")
    return figure
