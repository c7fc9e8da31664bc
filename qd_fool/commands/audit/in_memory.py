"""An audit from Python: `qd_fool.audit`."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qd_fool.commands.audit.conduct import Request, conduct
from qd_fool.commands.audit.config import AuditConfig, evaluations_of_budget
from qd_fool.commands.audit.markdown import write_markdown
from qd_fool.commands.audit.page import write_page
from qd_fool.commands.audit.photographs import (
    MOST,
    Labelled,
    check_arrays,
    digits_of,
    read_labelled,
)
from qd_fool.commands.audit.subject import make_subject
from qd_fool.commands.common.console import make_console
from qd_fool.errors import UserError
from qd_fool.judge.audit.report import AuditReport
from qd_fool.judge.audit.stored import write_audit
from qd_fool.judge.separation import check_scikit_learn
from qd_fool.models.network import SingleNetwork
from qd_fool.runs.directory import make_run_dir, names_in

__all__ = ["audit"]


def audit(
    scorer: SingleNetwork,
    *,
    budget: str | int = "quick",
    photos: str | Path | tuple[Any, Sequence[int]] | None = None,
    seeds: int = 1,
    unknown: str | None = None,
    out: str | Path | None = None,
    progress: bool = True,
) -> AuditReport:
    """Audit a classifier: how many classes can be claimed, how soon, by pictures of nothing?

    Args:
      scorer: Classifier, from `load_scorer`, `from_onnx`, `from_callable` or `from_http`.
      budget: Counted evaluations of the searches per seed: "quick", "standard", "deep" or a number.
      photos: Photographs of the classes: a folder or a CSV file, as `qd-fool audit --photos` takes
        them, or a pair of arrays, 8-bit pictures `(n, height, width, channels)` and labels `(n,)`.
        By default MNIST's test set for ten digits if it is prepared, else none.
      seeds: Searches per method.
      unknown: Class for unknown pictures, by index or label; "none" for no class.
      out: New directory for the report and the run directories of the searches. By default they
        are written into a temporary directory, and deleted.
      progress: Whether to show the progress on the standard error stream.

    Returns:
      The report. `to_frame` makes a table of its metrics.

    Raises:
      UserError: A setting is wrong, photographs do not fit, the directory is not empty, or the
        classifier failed.
      KeyboardInterrupt: A signal ended the audit early.
    """
    config = AuditConfig(budget=str(budget), seeds=seeds)
    photographs = _photographs(photos, scorer, most=MOST[config.budget == "quick"])
    if isinstance(photographs, Labelled):
        check_scikit_learn()
    named = {"model": f"python:memory:{scorer.name}"}
    subject = make_subject(scorer, named, unknown=unknown, photographs=photographs)
    evaluations = evaluations_of_budget(config.budget, classes=len(scorer.class_names))
    request = Request(budget=evaluations, seeds=seeds, quick=config.budget == "quick")
    if out is not None:
        folder = Path(out)
        if names_in(folder):
            raise UserError(f"out {folder} is not empty: expected a new directory")
        make_run_dir(folder, flag="out")
        return _conducted(subject, request, folder, progress=progress)
    with tempfile.TemporaryDirectory(prefix="qd_fool-audit-") as name:
        return _conducted(subject, request, Path(name), progress=progress)


def _conducted(subject: Any, request: Request, out: Path, *, progress: bool) -> AuditReport:
    with (out / "audit.log").open("w", encoding="utf-8") as file:
        log = make_console(file=file)
        console = make_console() if progress else log
        report = conduct(subject, request, out, console=console, log=log)
    if report is None:
        raise KeyboardInterrupt
    write_audit(out / "audit.json", report)
    write_markdown(out / "audit.md", report, [])
    write_page(out / "audit.html", report, [])
    return report


def _photographs(
    photos: str | Path | tuple[Any, Sequence[int]] | None, scorer: SingleNetwork, *, most: int
) -> Labelled | str:
    if isinstance(photos, tuple):
        images, labels = photos
        return check_arrays(np.asarray(images), labels, scorer)
    if photos is not None:
        return read_labelled(Path(photos), scorer, most=most)
    return digits_of(scorer, most=most) or "There are no photographs."
