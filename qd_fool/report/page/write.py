"""`report.html`: one page for a run, or for two beside each other, that opens from disk.

The page is a template, a stylesheet and scripts of this package, with the run's facts inside as
JSON; it asks for nothing from outside but the full pictures, by relative path.
"""

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from qd_fool.errors import UserError
from qd_fool.files import replacing
from qd_fool.report.page.data import run_data
from qd_fool.report.page.thumbnails import whole_picture
from qd_fool.report.sheet import write_contact_sheet
from qd_fool.runs.directory import read_run
from qd_fool.runs.stored import StoredRun, open_run
from qd_fool.scoring.confidence import percent

SCRIPTS = (
    "common.js",
    "wall.js",
    "drawings.js",
    "ancestors.js",
    "elite.js",
    "axes.js",
    "charts.js",
    "main.js",
)


THUMBNAILS = 5_000_000
"""Characters that all thumbnails of a page may take."""


def write_report(run_dir: Path, *, out: Path | None = None, single_file: bool = False) -> Path:
    """Write a run's page; with nothing else asked for, also the contact sheet that it links to.

    Args:
      run_dir: of a run that has been finished or stopped.
      out: the page; `report.html`, or for a single file `report_single.html`, in the directory.
      single_file: put the full pictures into the page, too.

    Raises:
      UserError: not a run directory, or one without elites.
    """
    read_run(run_dir)
    path = out or run_dir / ("report_single.html" if single_file else "report.html")
    runs = [run_data(run_dir, page_dir=path.parent, budget=THUMBNAILS)]
    if out is None and not single_file:
        write_contact_sheet(run_dir)
    return _write(path, [run_dir], runs, single_file=single_file)


def write_comparison(first: Path, second: Path, *, out: Path, single_file: bool = False) -> Path:
    """Write a page that shows two runs side by side, class by class.

    Raises:
      UserError: as `write_report`; or the two have no class in common.
    """
    runs = [
        run_data(run_dir, page_dir=out.parent, budget=THUMBNAILS // 2)
        for run_dir in (first, second)
    ]
    if not any(len(pair) == 2 for pair in _in_common(runs)):
        raise UserError(
            f"{first} and {second} have elites of no class in common: nothing to compare"
        )
    if runs[0]["name"] == runs[1]["name"]:
        runs[0]["name"], runs[1]["name"] = str(first), str(second)
    return _write(out, [first, second], runs, single_file=single_file)


def _in_common(runs: Sequence[dict[str, Any]]) -> list[list[list[int]]]:
    """Which elites are of the same class: for each class `[run, elite]`, one or two of them.

    Classes are the same if their WNIDs are; without these, if their labels are.
    """
    found: dict[str, list[list[int]]] = {}
    for r, run in enumerate(runs):
        for i, elite in enumerate(run["elites"]):
            key = run["wnids"][elite["class"]] if run["wnids"] else elite["label"]
            if len(runs) == 1:
                key = str(elite["class"])
            found.setdefault(key, []).append([r, i])
    return list(found.values())


def _write(
    path: Path, run_dirs: Sequence[Path], runs: list[dict[str, Any]], *, single_file: bool
) -> Path:
    stored = [open_run(run_dir) for run_dir in run_dirs]
    facts = [_facts(run, data["elites"]) for run, data in zip(stored, runs, strict=True)]
    page = _template().render(
        runs=runs,
        records=[run.record for run in stored],
        facts=facts,
        settings=_settings(stored),
        files=_files(path, run_dirs),
        style=_asset("page.css"),
        script=Markup("\n").join(_asset(name) for name in SCRIPTS),
        # Looked at one by one: the page need not wait for them.
        ancestors=[_json(run.pop("ancestors", {})) for run in runs],
        data=_json({"runs": runs, "tiles": _in_common(runs)}),
        pictures=[
            [whole_picture(run_dir / elite["png"]) for elite in run["elites"]]
            for run_dir, run in zip(run_dirs, runs, strict=True)
            if single_file
        ],
    )
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.PackageLoader("qd_fool", "report/page"),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")


def _asset(name: str) -> Markup:
    text = resources.files("qd_fool.report.page").joinpath("assets", name).read_text("utf-8")
    return Markup(text)  # noqa: S704 (a file of this package)


def _json(value: Any) -> Markup:
    """JSON that cannot end the element it stands in, whatever its strings say."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704


def _facts(run: StoredRun, elites: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the page's head says in figures, by name; in words, ready to print."""
    record = run.record
    # An ascent is after those classes only that it was asked for.
    wanted = max(len(elites) if run.kind == "ascent" else run.classes, 1)
    confidence = np.zeros(wanted)
    confidence[: len(elites)] = [elite["confidence"] for elite in elites]
    found = {
        "median confidence": percent(float(np.median(confidence))),
        "at 99% or more": f"{int((confidence >= 0.99).sum()):,} of {wanted:,}",
    }
    if isinstance(record.get("evaluations"), int):
        found["evaluations"] = f"{record['evaluations']:,}"
    if isinstance(record.get("seconds"), int | float):
        found["run time"] = duration(record["seconds"])
    found["distinct pictures"] = f"{len({elite['id'] for elite in elites}):,}"
    return found


def duration(seconds: float) -> str:
    """`5.3 s`, `10 min 17 s`, `3 h 25 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _settings(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """Rows of the table of settings: a name, one value per run, and whether they differ."""
    tables = []
    for run in runs:
        record, table = run.record, run.settings
        # Of this machine, or of how the command was called.
        for name in ("run_dir", "resume", "photos", "convert"):
            table.pop(name, None)
        if table.get("weights") is not None:
            table["weights"] = record.get("weights")
        device = record["device"]
        table["device"] = f"{device.get('count')} × {device.get('kind')} ({device.get('platform')})"  # noqa: RUF001
        table["compile seconds"] = record.get("compile_seconds")
        table["PNGs scored again differ by at most"] = record.get("png_rescored_max_difference")
        table["versions"] = ", ".join(f"{k} {v}" for k, v in record["versions"].items())
        tables.append(table)
    names = list(dict.fromkeys(name for table in tables for name in table))
    rows = []
    for name in names:
        values = [table.get(name) for table in tables]
        if any(value is not None for value in values):
            words = ["" if value is None else str(value) for value in values]
            rows.append(
                {
                    "name": name.replace("_", " "),
                    "values": words,
                    "differ": len({*words}) > 1,
                }
            )
    return rows


def _files(path: Path, run_dirs: Sequence[Path]) -> list[str]:
    """Files of the run that lie beside its page."""
    if len(run_dirs) > 1 or run_dirs[0].resolve() != path.parent.resolve():
        return []
    names = ("contact_sheet.png", "elites.csv", "metrics.csv", "lineage.npz", "run.json")
    return [name for name in names if (path.parent / name).exists()]
