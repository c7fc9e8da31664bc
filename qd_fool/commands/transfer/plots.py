"""Plots of a transfer: matrices, scatters, and a contact sheet of pictures that fool all."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.axes
import matplotlib.figure
import numpy as np
from jaxtyping import Float
from matplotlib.patches import Rectangle

from qd_fool.commands.transfer.figures import SourceRow, Summary
from qd_fool.commands.transfer.page import floored
from qd_fool.commands.transfer.sheet import write_sheet
from qd_fool.commands.transfer.summary import Transfer
from qd_fool.files import replacing
from qd_fool.judge.transfer import SURE, THRESHOLDS
from qd_fool.scoring.confidence import log_odds_of

TICKS = {
    1e-12: "1e-12",
    1e-8: "1e-8",
    1e-4: ".0001",
    0.01: ".01",
    0.5: ".5",
    0.99: ".99",
    0.9999: ".9999",
    1 - 1e-8: "1 - 1e-8",
    1 - 1e-12: "1 - 1e-12",
}
"""Confidences to mark on axes of log-odds."""


def write_plots(out: Path, summary: Summary, transfer: Transfer) -> list[str]:
    """Write all plots.

    Args:
      out: Directory to write to.
      summary: Figures of the transfer.
      transfer: Pictures and answers.

    Returns:
      Names of the files.
    """
    log_odds = transfer.answers.log_odds
    written = ["matrix.png", "fool_both.png"]
    with matplotlib.rc_context({"text.parse_math": False, "font.size": 9}):
        _save(_matrix(summary), out / "matrix.png")
        _save(_both(summary), out / "fool_both.png")
        for i, source in enumerate(summary.sources):
            if not source.pairs:
                continue
            slug = re.sub(r"[^\w.-]", "_", source.name)
            name = "scatter.png" if len(summary.sources) == 1 else f"scatter_{i}_{slug}.png"
            _save(_scatter(source, summary.names, log_odds[transfer.rows(i)]), out / name)
            written.append(name)
    write_sheet(
        out / "fool_all.png",
        networks=sum(network.scored for network in summary.networks),
        log_odds=log_odds,
        targets=transfer.targets,
        paths=transfer.paths,
        labels=transfer.class_names,
    )
    return [*written, "fool_all.png"]


def _save(figure: matplotlib.figure.Figure, path: Path) -> None:
    """Write a figure, whole or not at all."""
    with replacing(path) as partial:
        figure.savefig(partial, dpi=130)


def _matrix(summary: Summary) -> matplotlib.figure.Figure:
    """Three matrices, one below another: one row per source, one column per network."""
    sources, names = summary.sources, summary.names
    rows = [f"{source.name} ({source.images})" for source in sources]
    panels = (
        ("median confidence in the target", "median"),
        (f"pictures that fool, at >= {SURE}", "fooled"),
        ("share whose target is the network's top class", "argmax"),
    )
    height = 0.4 + 0.34 * len(rows)
    figure = matplotlib.figure.Figure(
        figsize=(max(4.4, _width(rows, names)), len(panels) * height + 0.5 + _slant(names)),
        layout="constrained",
    )
    grid = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (title, figure_name) in zip(grid, panels, strict=True):
        # Shade and text of each cell.
        shades = np.full((len(rows), len(names)), np.nan)
        words = [["not asked"] * len(names) for _ in rows]
        for i, source in enumerate(sources):
            for j, name in enumerate(names):
                if (fooled := source.networks_fooled[name]) is None:
                    continue
                if figure_name == "fooled":
                    count = fooled.fooled[str(SURE)]
                    shades[i, j], words[i][j] = count / source.images, str(count)
                    continue
                median = figure_name == "median"
                value = fooled.median_confidence if median else fooled.argmax_is_target
                shades[i, j], words[i][j] = value, floored(value, 4)
        _heat(axes, shades, words, rows=rows, columns=names)
        axes.set_title(title, fontsize=9, loc="left")
        # A frame around the networks that each source was made against.
        for i, source in enumerate(sources):
            for name in source.networks:
                corner = (names.index(name) - 0.47, i - 0.44)
                axes.add_patch(
                    Rectangle(corner, 0.94, 0.88, fill=False, edgecolor="#f70", linewidth=2)
                )
    if any(source.networks for source in sources):
        figure.supxlabel("framed: the network that the pictures were made against", fontsize=8)
    return figure


def _both(summary: Summary) -> matplotlib.figure.Figure:
    """One matrix per source: how many pictures fool both of two networks."""
    sources, names = summary.sources, summary.names
    across = min(len(sources), 3)
    down = math.ceil(len(sources) / across)
    width, height = _width(names, names), 0.4 + 0.34 * len(names) + _slant(names)
    figure = matplotlib.figure.Figure(
        figsize=(max(4.0, across * width), down * height + 0.3), layout="constrained"
    )
    grid = figure.subplots(down, across, squeeze=False).flat
    for axes in list(grid)[len(sources) :]:
        axes.set_axis_off()
    for axes, source in zip(figure.axes, sources, strict=False):
        counts = np.asarray(
            [[np.nan if n is None else n for n in row] for row in source.fool_both_at_99], float
        )
        words = [["" if np.isnan(n) else f"{n:.0f}" for n in row] for row in counts]
        # Shades are relative to the largest count: few pictures fool two networks.
        most = max(1.0, float(np.nanmax(counts, initial=0)))
        _heat(axes, counts / most, words, rows=names, columns=names)
        title = f"{source.name}: of {source.images} pictures"
        axes.set_title(title, fontsize=9, loc="left")
    figure.suptitle(f"pictures that fool both networks at >= {SURE}", fontsize=10)
    return figure


def _width(rows: Sequence[str], columns: Sequence[str]) -> float:
    """Width of a matrix, in inches."""
    return 1.0 + 0.075 * _longest(rows) + 0.8 * len(columns)


def _slant(names: Sequence[str]) -> float:
    """Room for slanted names, in inches."""
    return 0.1 + 0.045 * _longest(names)


def _longest(names: Sequence[str]) -> int:
    """Length of the longest name."""
    return max(map(len, names))


def _heat(
    axes: matplotlib.axes.Axes,
    shades: Float[np.ndarray, "rows columns"],
    words: Sequence[Sequence[str]],
    *,
    rows: Sequence[str],
    columns: Sequence[str],
) -> None:
    """Cells shaded from 0 to 1, with words in them."""
    axes.set_facecolor("#e8e8e8")
    axes.imshow(np.ma.masked_invalid(shades), cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, line in enumerate(words):
        for j, word in enumerate(line):
            dark = shades[i, j] > 0.55
            size = 7 if word == "not asked" else 9
            colour = "white" if dark else "#222"
            axes.text(j, i, word, ha="center", va="center", color=colour, fontsize=size)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right", rotation_mode="anchor")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="minor", length=0)


def _scatter(
    source: SourceRow, names: Sequence[str], log_odds: Float[np.ndarray, "images networks"]
) -> matplotlib.figure.Figure:
    """Log-odds on network A against log-odds on network B, one panel per B."""
    pairs = source.pairs
    across = min(len(pairs), 3)
    down = math.ceil(len(pairs) / across)
    figure = matplotlib.figure.Figure(
        figsize=(3.3 * across + 0.3, 3.2 * down + 0.5), layout="constrained"
    )
    grid = list(figure.subplots(down, across, squeeze=False, sharex=True).flat)
    for axes in grid[len(pairs) :]:
        axes.set_axis_off()
    size = 12 if len(log_odds) < 200 else 4
    for axes, pair in zip(grid, pairs, strict=False):
        a, b = (log_odds[:, names.index(name)] for name in (pair.a, pair.b))
        for threshold, style in zip(THRESHOLDS, ("--", ":"), strict=True):
            edge = float(log_odds_of(threshold))
            for line in (axes.axhline, axes.axvline):
                line(edge, color="#c52", linewidth=0.8, linestyle=style)
        axes.scatter(a, b, s=size, color="#26a", alpha=0.55, linewidths=0)
        _confidence_axis(axes.xaxis, a)
        _confidence_axis(axes.yaxis, b)
        axes.tick_params(labelsize=7.5, labelbottom=True)
        axes.set_ylabel(pair.b)
        axes.set_xlabel(pair.a)
        both = pair.at[str(SURE)].both
        axes.set_title(f"{both} of {len(a)} fool both at >= {SURE}", fontsize=8.5)
    dashes = f"dashed: {THRESHOLDS[0]}, dotted: {THRESHOLDS[1]}"
    figure.suptitle(f"{source.name}: confidence in the target\n{dashes}", fontsize=9.5)
    return figure


def _confidence_axis(axis: Any, values: Float[np.ndarray, " images"]) -> None:
    """Mark an axis of log-odds by confidences."""
    low, high = float(values.min()), float(values.max())
    low, high = min(low, -1.0), max(high, float(log_odds_of(0.9999)))
    room = 0.05 * (high - low)
    ticks = {float(log_odds_of(p)): word for p, word in TICKS.items()}
    shown = {at: word for at, word in ticks.items() if low - room <= at <= high + room}
    axis.set_ticks(list(shown), list(shown.values()))
    (axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim)(low - room, high + room)
