"""`report.html`: one page for a run, or for two runs side by side, that opens from disk.

The page consists of a template, a stylesheet and scripts of this package, with the run's facts as
JSON. It loads nothing from outside but the full pictures, by relative path.
"""

import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from qd_fool.errors import UserError
from qd_fool.files import replacing, write_bytes
from qd_fool.report.page.data import LATER, run_data
from qd_fool.report.page.thumbnails import whole_picture
from qd_fool.report.sheet import write_contact_sheet
from qd_fool.runs.directory import read_run
from qd_fool.runs.stored import StoredRun, open_run
from qd_fool.scoring.confidence import percent

SCRIPTS = (
    "common.js",
    "later.js",
    "wall.js",
    "rows.js",
    "drawings.js",
    "ancestors.js",
    "elite.js",
    "axes.js",
    "charts.js",
    "main.js",
)


THUMBNAILS = 5_000_000
"""Characters that all thumbnails of a page may take."""

LATER_INSIDE = 12_000_000
"""Characters of genomes and ancestors up to which they are in a page that has thumbnails. Else they
are in a file beside it, as the pictures are."""

WHOLE_INSIDE = 300_000_000
"""Bytes of PNGs up to which a single file holds the full pictures, not only thumbnails."""


def write_report(run_dir: Path, *, out: Path | None = None, single_file: bool = False) -> Path:
    """Write a run's page, and by default the contact sheet that the page links to.

    Args:
      run_dir: Directory of a run that has ended or was stopped.
      out: Path of the page. By default `report.html` in the directory of the run, or for a single
        file `report_single.html`. If a path is given, no contact sheet is written.
      single_file: Whether the page holds the full pictures, too; only thumbnails if the PNGs take
        more than 300 MB.

    Raises:
      UserError: The directory is not a run directory, or has no elites.
    """
    read_run(run_dir)
    path = out or run_dir / ("report_single.html" if single_file else "report.html")
    runs = [run_data(run_dir, page_dir=path.parent, budget=THUMBNAILS, inside=single_file)]
    if out is None and not single_file:
        write_contact_sheet(run_dir)
    return _write(path, [run_dir], runs, single_file=single_file)


def write_comparison(
    first: Path,
    second: Path,
    *,
    out: Path,
    single_file: bool = False,
    names: tuple[str, str] | None = None,
) -> Path:
    """Write a page that shows two runs side by side, class by class.

    Args:
      first: Directory of a run.
      second: Directory of the other run.
      out: Path of the page.
      single_file: Whether the page holds the full pictures, too.
      names: Names of the two runs if their directories have the same; by default their paths.

    Raises:
      UserError: As in `write_report`; or the two runs have no class in common.
    """
    runs = [
        run_data(run_dir, page_dir=out.parent, budget=THUMBNAILS // 2, inside=single_file)
        for run_dir in (first, second)
    ]
    if not any(len(pair) == 2 for pair in _in_common(runs)):
        raise UserError(
            f"{first} and {second} have elites of no class in common: nothing to compare"
        )
    if runs[0]["name"] == runs[1]["name"]:
        runs[0]["name"], runs[1]["name"] = names or (str(first), str(second))
    return _write(out, [first, second], runs, single_file=single_file)


def _in_common(runs: Sequence[dict[str, Any]]) -> list[list[list[int]]]:
    """Group the elites by class: for each class one or two pairs `[run, elite]`.

    Two classes are the same if their WNIDs are equal, or without WNIDs, if their labels are equal.
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
    # Ancestors are in an element of their own, so that the page can open before it reads them. Much
    # of what an elite needs when it is shown large is in a file beside the page.
    later = [{key: run.pop(key) for key in LATER if key in run} for run in runs]
    inside = all("thumb" in elite for run in runs for elite in run["elites"])
    beside = None if single_file else _write_beside(path, later, most=LATER_INSIDE * inside)
    if beside is None:
        ancestors = [part.pop("ancestors", {}) for part in later]
        runs = [run | part for run, part in zip(runs, later, strict=True)]
    else:
        ancestors = []
    page = _template().render(
        runs=runs,
        records=[run.record for run in stored],
        facts=facts,
        settings=_settings(stored),
        files=_files(path, run_dirs),
        style=asset("page.css"),
        script=Markup("\n").join(asset(name) for name in SCRIPTS),
        ancestors=[_json(pictures) for pictures in ancestors],
        data=_json({"runs": runs, "tiles": _in_common(runs), "later": beside}),
        single_file=single_file,
        pictures=_whole_pictures(run_dirs, runs) if single_file else [],
    )
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def _write_beside(
    path: Path, later: Sequence[dict[str, Any]], *, most: int
) -> dict[str, str] | None:
    """Write what the page reads later into a script beside it, if it is too much for the page.

    Args:
      path: Path of the page.
      later: Values per run.
      most: Characters that may stay in the page.

    Returns:
      Name of the script, and the text by which the page recognises it; None if there is no script.
    """
    text = json.dumps(later, separators=(",", ":"), allow_nan=False)
    if len(text) <= most:
        return None
    token = hashlib.sha256(text.encode()).hexdigest()[:16]
    script = path.with_name(f"{path.stem}_data.js")
    # A browser reads a text of JSON faster than a script of the same values.
    write_bytes(script, f"qdFoolLater({json.dumps(token)}, {json.dumps(text)});\n".encode())
    return {"file": script.name, "token": token}


def _whole_pictures(run_dirs: Sequence[Path], runs: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return the full pictures of each run, as data URIs; none if they are too large for a page."""
    paths = [
        [run_dir / elite["png"] for elite in run["elites"]]
        for run_dir, run in zip(run_dirs, runs, strict=True)
    ]
    if sum(path.stat().st_size for part in paths for path in part) > WHOLE_INSIDE:
        return []
    return [[whole_picture(path) for path in part] for part in paths]


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.PackageLoader("qd_fool", "report/page"),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2")


def asset(name: str) -> Markup:
    """Return a stylesheet or a script of the page.

    Args:
      name: Name of the file.
    """
    text = resources.files("qd_fool.report.page").joinpath("assets", name).read_text("utf-8")
    return Markup(text)  # noqa: S704 (a file of this package)


def _json(value: Any) -> Markup:
    """Return JSON in which no string can end the HTML element around it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704


def _facts(run: StoredRun, elites: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the figures at the top of the page, by name, as text."""
    record = run.record
    # An ascent has only the classes that the user asked for.
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
    """Return a duration as text, such as `5.3 s`, `10 min 17 s` or `3 h 25 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{minutes} min {int(seconds % 60)} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _settings(runs: Sequence[StoredRun]) -> list[dict[str, Any]]:
    """Return the rows of the table of settings: name, one value per run, whether they differ."""
    # One table per run: the settings of the search, and facts of how it ran.
    tables = []
    for run in runs:
        record, table = run.record, run.settings
        # These settings depend on the machine, or on the call of the command.
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

    # Join the tables by name, without settings that no run has.
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
    """Return the names of the run's files that lie beside the page, for links."""
    if len(run_dirs) > 1 or run_dirs[0].resolve() != path.parent.resolve():
        return []
    names = ("contact_sheet.png", "elites.csv", "metrics.csv", "lineage.npz", "run.json")
    return [name for name in names if (path.parent / name).exists()]
