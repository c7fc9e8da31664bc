"""`audit.html`: the report of an audit as one page that opens from disk."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from PIL import Image

from qd_fool.commands.audit.figures import write_figures
from qd_fool.commands.audit.tables import (
    class_table,
    detector_summary,
    detector_table,
    fooled_table,
    photograph_rows,
    preprocessing_table,
    probe_table,
)
from qd_fool.files import replacing
from qd_fool.judge.audit.conditions import Outcome
from qd_fool.judge.audit.report import AuditReport
from qd_fool.judge.audit.words import FOOLED, INTERVALS, searched, verdict
from qd_fool.report.page.thumbnails import packed
from qd_fool.report.page.write import asset
from qd_fool.scoring.confidence import percent

SIDE, QUALITY = 224, 80
"""Side of the pictures on the page in pixels, and their WebP quality."""


def write_page(path: Path, report: AuditReport, outcomes: Sequence[Outcome]) -> None:
    """Write the page, and the figures beside it.

    Args:
      path: Path of the page, in the directory of the audit.
      report: Result of the audit.
      outcomes: Results of the conditions and of the comparison.
    """
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.PackageLoader("qd_fool", "commands/audit"),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    figures = write_figures(path.parent / "figures", report)
    page = environment.get_template("page.html.j2").render(
        report=report,
        outcomes=outcomes,
        verdict=verdict(report),
        definition=FOOLED,
        intervals=INTERVALS,
        style=asset("page.css"),
        figures={name: Markup(svg) for name, svg in figures.items()},  # noqa: S704  # made here
        pictures=[_picture(path.parent, report, i) for i in range(len(report.worst))],
        fooled=fooled_table(report),
        classes=class_table(report),
        detectors=detector_table(report),
        detector_summary=detector_summary(report),
        probes=probe_table(report),
        photographs=photograph_rows(report),
        preprocessings=preprocessing_table(report),
        runs=[search.run for method in searched(report) for search in method.searches],
        data=_json(_rows(report)),
    )
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")


def _picture(out: Path, report: AuditReport, i: int) -> dict[str, Any]:
    picture = report.worst[i]
    with Image.open(out / picture.path) as image:
        image.load()
        source = packed(image, SIDE, QUALITY)
    return {
        "source": source,
        "path": picture.path,
        "label": report.network.classes[picture.class_index].split(",")[0],
        "confidence": percent(picture.confidence),
        "method": picture.method,
        "pixels": max(image.size) <= 64,
    }


def _rows(report: AuditReport) -> dict[str, Any]:
    """Confidence and evaluations per class and method: means, and medians over seeds."""
    methods = searched(report)
    rows = []
    for k, label in enumerate(report.network.classes):
        cells: list[Any] = []
        for method in methods:
            if k not in method.classes:
                cells.append(None)
                continue
            at = method.classes.index(k)
            best = max(search.confidence[at] for search in method.searches)
            first = [search.first[-1][at] for search in method.searches]
            times = sorted(float("inf") if n is None else n for n in first)
            middle = times[(len(times) - 1) // 2]
            cells.append([round(best, 6), None if middle == float("inf") else middle])
        rows.append([k, label, cells])
    return {"methods": [method.name for method in methods], "rows": rows}


def _json(value: Any) -> Markup:
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  # no string ends the element
