"""The summary of a reproduction: our figures, the paper's, and the command behind each."""

import csv
import dataclasses
import datetime
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import matplotlib.pyplot as plt
import numpy as np

from qd_fool.commands.common.tables import in_markdown, markdown_table
from qd_fool.commands.reproduce.paper import MARKS, PAPER
from qd_fool.commands.reproduce.steps import Step, load_seconds, rows_of
from qd_fool.files import replacing, write_text
from qd_fool.judge.statistics import median_interval
from qd_fool.scoring.confidence import percent


@dataclasses.dataclass(frozen=True)
class Row:
    """One of our figures, to show beside that of the paper.

    Attributes:
      experiment: Name of the experiment.
      figure: Name of the measured figure.
      value: Our value, as people write it.
      step: Command that made the value.
      paper: Key of `PAPER`; "" if the paper has no comparable figure.
      interval: Bootstrap interval (95%) of a median, or another note beside the value.
      seeds: Seeds of the runs.
    """

    experiment: str
    figure: str
    value: str
    step: Step
    paper: str = ""
    interval: str = ""
    seeds: str = "0"


COLUMNS = ("experiment", "figure", "ours", "95% interval", "seeds", "paper", "mark", "command")


def p_value(p: float) -> str:
    """A p-value such as `= 0.012`, or `< 1e-300`."""
    return f"= {p:.2g}" if p >= 1e-300 else "< 1e-300"


def median_row(values: np.ndarray, *, experiment: str, figure: str, step: Step, **more: str) -> Row:
    """A row with the median of confidences, and its interval.

    Args:
      values: Confidences.
      experiment: Name of the experiment.
      figure: Name of the figure.
      step: Command that made the values.
      **more: Further fields of the row.
    """
    middle, low, high = median_interval(values)
    return Row(
        experiment=experiment,
        figure=figure,
        value=percent(middle),
        step=step,
        interval=f"{percent(low)} to {percent(high)}",
        **more,
    )


def _cells(row: Row) -> tuple[str, ...]:
    """Cells of a row, by `COLUMNS`."""
    paper = PAPER.get(row.paper)
    return (
        row.experiment,
        row.figure,
        row.value,
        row.interval,
        row.seeds,
        paper.figure if paper else "",
        paper.mark if paper else "",
        row.step.command,
    )


def machine() -> str:
    """The machine and the versions that made the figures, in words."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    kinds = {device.device_kind for device in jax.devices()}
    return (
        f"{platform.machine()}, {cores} cores, {', '.join(sorted(kinds))}; Python "
        f"{platform.python_version()}, jax {jax.__version__}"
    )


def write_summary(
    out: Path, rows: Sequence[Row], steps: Sequence[Step], *, title: str, command: str
) -> None:
    """Write `summary.csv` and `summary.md` into a directory.

    Args:
      out: Directory that the steps wrote to.
      rows: Rows, in order.
      steps: All steps, for the list of commands with their times.
      title: Title of the page.
      command: Command that reproduces everything.
    """
    with (
        replacing(out / "summary.csv") as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(_cells(row) for row in rows)

    # The command, the machine, and how to read the figures.
    seconds = load_seconds(out)
    total = sum(seconds.get(step.command, 0.0) for step in steps)
    number = {step.command: i + 1 for i, step in enumerate(steps)}
    marks = "; ".join(f"{mark}: {words}" for mark, words in MARKS.items())
    lines = [
        f"# The paper's experiments on {title}",
        "",
        f"`{command}`  ",
        f"{machine()}; {datetime.date.today().isoformat()}. {len(steps)} commands, "
        f"{total / 60:.1f} minutes. The last column is the number of the command below; "
        "`summary.csv` has the commands. The figures include every seed that was run.",
        "",
        f"Sources of the paper's figures: {marks}.",
        "",
        "Intervals and tests are over pictures. Pictures of one run share ancestors, so intervals "
        "hold for these runs and are too narrow for others.",
        "",
    ]

    # The rows; an experiment is named in the first of several rows.
    before, table = "", []
    for row in rows:
        cells = [in_markdown(str(cell)) for cell in _cells(row)]
        cells[0] = "" if row.experiment == before else cells[0]
        cells[-1] = str(number[row.step.command])
        before = row.experiment
        table.append(cells)
    lines += markdown_table(COLUMNS, table)

    # Whole tables of retraining, plots, and the commands with their times.
    for step in steps:
        for name in TABLES:
            page = step.result.parent / name if step.result.suffix else step.result / name
            if page.is_file():
                lines += ["", f"## {step.name}", ""]
                text = page.read_text(encoding="utf-8")
                lines += [line for line in text.splitlines() if line.startswith("|")]
    pictures = [p for p in sorted(out.rglob("*.png")) if "elites" not in p.parts]
    shown = [p for p in pictures if p.name in SHOWN]
    lines += ["", "## Plots", ""]
    lines += [f"![{p.parent.name}]({p.relative_to(out).as_posix()})" for p in shown]
    lines += ["", "## Commands", ""]
    lines += [
        f"{i + 1}. `{step.command}` ({seconds.get(step.command, 0.0):.0f} s)"
        for i, step in enumerate(steps)
    ]
    write_text(out / "summary.md", lines)


TABLES = ("table.md", "retrain.md")
"""Pages whose tables the summary repeats: those of retraining."""


SHOWN = (
    "confidence.png",
    "matrix.png",
    "scatter.png",
    "fool_all.png",
    "retrain.png",
    "retrain_curves.png",
    "retrain_pictures.png",
)
"""Pictures that the summary shows; others stay in their directories."""


SHOWN_BETWEEN = (1e-6, 1 - 1e-7)
"""Lowest and highest confidence on the axis. float32 has few values beyond them."""


def plot_runs(path: Path, evolutions: Mapping[str, Sequence[Step]], *, title: str) -> None:
    """Plot median confidence over counted evaluations: one colour per kind, one line per seed.

    Args:
      path: PNG file to write.
      evolutions: Evolutions, by kind.
      title: Title of the plot.
    """
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for k, (kind, steps) in enumerate(evolutions.items()):
        for i, step in enumerate(steps):
            rows = rows_of(step.result / "metrics.csv")
            x = [int(row["evaluations"]) for row in rows]
            y = np.clip([float(row["median_confidence"]) for row in rows], *SHOWN_BETWEEN)
            axes.plot(x, y, color=f"C{k}", lw=1.2, label=kind if i == 0 else None)
    axes.set(xlabel="counted evaluations", ylabel="median confidence, log-odds", title=title)
    axes.set(xscale="log", yscale="logit")
    axes.grid(alpha=0.3)
    axes.legend(loc="best")
    with replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=130)
    plt.close(figure)
