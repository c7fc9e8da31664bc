"""Tables and plots of `compare_encodings.py`, from its lines."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from qd_fool.judge.statistics import mann_whitney, median_interval

Record = Mapping[str, Any]
BASELINES = ("direct", "CPPN")
# The colours of Okabe and Ito, which colour-blind readers can distinguish.
COLORS = MappingProxyType(
    {
        "direct": "#000000",
        "CPPN": "#000000",
        "SBX": "#0072B2",
        "normalized": "#0072B2",
        "gradients": "#D55E00",
        "random": "#009E73",
        "no sine": "#CC79A7",
        "RGB": "#E69F00",
        "HSV": "#56B4E9",
    }
)
TICKS = (
    *((10.0**-n, f"$10^{{-{n}}}$") for n in (12, 10, 8, 6, 5, 4, 3)),
    *((p, f"{p:g}") for p in (0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)),
)
"""Confidences to mark, with their labels; `FAR` has higher ones."""
FAR = tuple((10.0**-n, f"$1 - 10^{{-{n}}}$") for n in (6, 8, 10, 12, 14))
"""Distances from 1 to mark, with their labels."""
WORDS = """The results of the same number of counted evaluations, by encoding and variation. A
gradient step counts as four. "direct" and "CPPN" are the paper's settings; the last table shows how
every other setting differs from them ("gradients" also has another batch size). "random" draws each
generation at random, without heredity, into the same cells. Each picture has one crop.

*Median* is that of the confidences in all cells of all seeds, with its bootstrap interval (95%,
percentiles). Cells of a run are not independent, so the interval may be too narrow. *By seed* has
the lowest and the highest median of a seed. *Cells* and *distinct* (different pictures) are medians
over seeds. *Seconds*, of a run without compilation, are also medians over seeds; the machine had
other work, so they do not measure speed. *Median .99 at* has the median number of evaluations over
seeds, and the number of seeds that got there. *Against* is a two-sided Mann-Whitney test over the
seeds' medians, against the paper's setting of the same encoding. The effect is the probability that
a seed of this setting is better than a seed of the paper's. With two seeds per side p can't be
below .33, with three .1, with five .0079; p is not corrected for several tests.

In the plots a line is the median over seeds, and a band reaches from the lowest seed to the
highest."""


def confidence(log_odds: float) -> str:
    """A confidence that is easy to read; near 1 as a distance, such as "1 - 3.2e-6"."""
    least = 1 / (1 + math.exp(abs(log_odds)))
    if least >= 1e-4:
        return f"{1 / (1 + math.exp(-log_odds)):.4f}"
    small = f"{least:.1e}".replace("e-0", "e-")
    return f"1 - {small}" if log_odds > 0 else small


def medians(records: Sequence[Record]) -> list[float]:
    """The median log-odds over the cells of each run."""
    return [float(np.median(r["cells"])) for r in records]


def reached(records: Sequence[Record], threshold: float) -> str:
    """The median evaluations until runs pass some log-odds, and the number of runs that do."""
    at = []
    for r in records:
        passed = [evaluations for evaluations, median, _ in r["curve"] if median >= threshold]
        at.append(passed[0] if passed else math.inf)
    middle, happened = float(np.median(at)), sum(map(math.isfinite, at))
    return f"{middle:,.0f} ({happened})" if math.isfinite(middle) else f"- ({happened})"


def row(name: str, records: Sequence[Record], baseline: Sequence[Record]) -> dict[str, Any]:
    """The row of a setting."""
    cells = np.concatenate([r["cells"] for r in records])
    middle, low, high = median_interval(cells)
    seed_medians = medians(records)

    def over(key: str) -> str:
        return f"{np.median([r[key] for r in records]):g}"

    tested = "-"
    if baseline and baseline[0]["setting"] != name:
        test = mann_whitney(seed_medians, medians(baseline))
        tested = f"p {test['p']:.2g}, effect {test['effect']:.2f}"
    return {
        "setting": name,
        "seeds": len(records),
        "evaluations": f"{records[0]['evaluations']:,}",
        "median": confidence(middle),
        "95%": f"{confidence(low)} to {confidence(high)}",
        "by seed": f"{confidence(min(seed_medians))} to {confidence(max(seed_medians))}",
        "cells >= .99": over("cells >= .99"),
        "distinct": over("distinct"),
        "median .99 at": reached(records, math.log(99)),
        "seconds": f"{np.median([r['seconds'] for r in records]):.0f}",
        "against": tested,
    }


def markdown(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines of a table, and an empty line."""
    columns = list(rows[0])
    return [
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(str(r[c]) for c in columns) + " |" for r in rows),
        "",
    ]


def write(records: Sequence[Record], *, orders: Mapping[str, Sequence[str]], out: Path) -> None:
    """Write `compare_encodings.md`, and one plot per network and budget.

    Args:
      records: Records of the runs.
      orders: Names of the settings in the order of the table, by model.
      out: Folder to write to.
    """
    lines = ["# compare_encodings", "", WORDS, ""]
    kinds = dict.fromkeys((r["model"], r["budget"]) for r in records)
    for model, budget in kinds:
        runs = [r for r in records if (r["model"], r["budget"]) == (model, budget)]
        names = [n for n in orders[model] if any(r["setting"] == n for r in runs)]
        by_name = {n: [r for r in runs if r["setting"] == n] for n in names}
        picture = f"compare_encodings_{model}_{budget}.webp"
        plot(by_name, out / picture)
        machines = "; ".join(dict.fromkeys(r["machine"] for r in runs))
        dates = " and ".join(sorted({r["date"] for r in runs}))
        lines += [
            f"## {model}, {budget:,} evaluations",
            "",
            f"`python benchmarks/compare_encodings.py {model} --evaluations {budget}`  ",
            f"{machines}; {dates}",
            "",
            f"![Median confidence over counted evaluations, {model}]({picture})",
            "",
            *markdown([row(n, found, by_name.get(family(n), [])) for n, found in by_name.items()]),
        ]
    settings = dict.fromkeys(
        (r["model"], r["setting"], ", ".join(f"{k} {v}" for k, v in r["fields"].items()))
        for r in records
    )
    lines += ["## Settings", ""]
    lines += markdown([dict(zip(("model", "setting", "fields"), t, strict=True)) for t in settings])
    (out / "compare_encodings.md").write_text("\n".join(lines), encoding="utf-8")


def family(name: str) -> str:
    """The baseline that a setting is compared with."""
    return next(b for b in BASELINES if name.split(",")[0] == b)


def plot(by_name: Mapping[str, Sequence[Record]], path: Path) -> None:
    """Plot median confidence over counted evaluations, one panel per encoding; bands: all seeds."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    families = [b for b in BASELINES if any(family(n) == b for n in by_name)]
    figure = Figure(figsize=(5.6 * len(families), 4.4), layout="constrained")
    panels = figure.subplots(1, len(families), sharey=True, squeeze=False)[0]
    labels = []
    for axes, baseline in zip(panels, families, strict=True):
        names = [n for n in by_name if family(n) == baseline]
        ends = {}
        for name in names:
            color = COLORS[name.split(", ")[-1]]
            curves = np.array([[point[:2] for point in r["curve"]] for r in by_name[name]])
            at, height = curves[0, :, 0], curves[:, :, 1]
            middle = np.median(height, axis=0)
            axes.fill_between(at, height.min(0), height.max(0), color=color, alpha=0.15, lw=0)
            axes.plot(at, middle, color=color, lw=1.8)
            ends[name] = (float(middle[-1]), color)
        axes.set(title=baseline, xlabel="counted evaluations", xlim=(0, None))
        places = [math.log(p / (1 - p)) for p, _ in TICKS] + [-math.log(rest) for rest, _ in FAR]
        axes.set_yticks(places, [words for _, words in TICKS + FAR])
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        labels.append((axes, ends))
    panels[0].set_ylabel("median confidence")
    runs = itertools.chain.from_iterable(by_name.values())
    heights = [height for r in runs for _, height, _ in r["curve"]]
    low, high = min(heights), max(heights)
    panels[0].set_ylim(low - 0.5, high + 0.5)
    for axes, ends in labels:
        label(axes, ends, gap=(high - low + 1) / 18)
    figure.savefig(path, dpi=100, pil_kwargs={"quality": 80})


def label(axes: Any, ends: Mapping[str, tuple[float, str]], *, gap: float) -> None:
    """Write names at the right ends of the lines, moved apart if they would touch."""
    order = sorted(ends, key=lambda n: ends[n][0])
    places = [ends[n][0] for n in order]
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + gap)
    surplus = max(0.0, places[-1] - axes.get_ylim()[1])
    for name, place in zip(order, places, strict=True):
        _, color = ends[name]
        axes.annotate(
            name.split(", ")[-1],
            (1.02, place - surplus),
            xycoords=("axes fraction", "data"),
            color=color,
            va="center",
            fontsize=9,
            annotation_clip=False,
        )
