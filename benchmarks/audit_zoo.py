"""Audit networks at one budget, side by side: how easily is each fooled per evaluation?

Each network is `NAME`, `NAME=WEIGHTS`, or any that `--model` takes. Audits are kept in `--work`, so
that the script continues where it stopped.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import report

from qd_fool.judge.audit.report import AuditReport, Method
from qd_fool.judge.audit.stored import read_audit
from qd_fool.judge.intervals import Value

DIGITS = ("lenet", "lenet-b")


def audit(name: str, out: Path, flags: Sequence[str]) -> AuditReport:
    """The audit of a network, run unless it is there already."""
    if not (out / "audit.json").exists():
        model, _, weights = name.partition("=")
        words = ["audit", "--model", model, *(["--weights", weights] if weights else [])]
        command = [sys.executable, "-m", "qd_fool", *words, "--out", str(out), *flags]
        done = subprocess.run(command, check=False)
        if done.returncode:
            raise SystemExit(f"exit code {done.returncode}: {' '.join(command)}")
    return read_audit(out / "audit.json")


def shown(value: Value) -> str:
    """A share and its interval, in percent."""
    numbers = (f"{100 * n:.1f}".removesuffix(".0") for n in (value.value, value.low, value.high))
    middle, low, high = numbers
    return f"{middle}% ({low} to {high})"


def cells_of(method: Method | None) -> tuple[str, str]:
    """Classes fooled at .99, and the mean part of the budget until then."""
    if method is None:
        return "-", "-"
    last = method.fooled[-1]
    part = last.robustness
    return shown(last.share), "-" if part is None else f"{part.value:.3f}"


def row_of(name: str, result: AuditReport) -> dict[str, Any]:
    """A network's row of the table."""
    row: dict[str, Any] = {"network": name, "evaluations": f"{result.settings.budget:,}"}
    row["seeds"] = result.settings.seeds
    row["classes"] = len(result.network.classes)
    photos = result.photographs
    row["accuracy"] = "-" if photos is None else shown(photos.accuracy)
    row["calibration error"] = "-" if photos is None else shown(photos.ece)
    for method in ("cppn", "direct", "gradient"):
        fooled, part = cells_of(result.method(method))
        row[f"{method}: fooled at .99"], row[f"{method}: part of the budget"] = fooled, part
    cppn = result.method("cppn")
    if cppn is not None and cppn.detectors:
        best = min(cppn.detectors, key=lambda d: cppn.detectors[d].fpr95.value)
        row["cppn: best detector, passes"] = f"{best}, {shown(cppn.detectors[best].fpr95)}"
    else:
        row["cppn: best detector, passes"] = "-"
    return row


def main() -> None:
    """Audit all networks, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", metavar="NAME[=WEIGHTS]")
    parser.add_argument("--work", type=Path, default=Path("build/audit_zoo"))
    parser.add_argument("--budget", default="quick")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--photos", help="photographs for networks of ImageNet")
    parser.add_argument("--table", default="audit_zoo", help="name of the table to write")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for name in arguments.networks:
        flags = ["--budget", arguments.budget, "--seeds", str(arguments.seeds)]
        if arguments.photos and name.partition("=")[0] not in DIGITS:
            flags += ["--photos", arguments.photos]
        stem = "".join(c if c.isalnum() or c in ".-" else "_" for c in name)
        label = Path(name.partition("=")[2] or name).name
        shown_name = name if "=" not in name else f"{name.partition('=')[0]} ({label})"
        rows.append(row_of(shown_name, audit(name, arguments.work / stem, flags)))
    report(
        arguments.table,
        rows,
        words="Audits of several networks at one budget (`qd-fool audit`): the share of classes "
        "that a search fools at a confidence of .99, with a 95% interval, and the mean part of the "
        "method's budget until then (1: never). A class of fooling images does not count. Lower "
        "parts mean that a network is fooled sooner; no row shows that a network cannot be fooled.",
    )


if __name__ == "__main__":
    main()
