"""`qd-fool audit`: searches and judgement of one classifier, with an exit code for CI."""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from qd_fool.commands.audit.conduct import Request, conduct
from qd_fool.commands.audit.config import AuditConfig, evaluations_of_budget
from qd_fool.commands.audit.junit import write_junit
from qd_fool.commands.audit.markdown import write_markdown
from qd_fool.commands.audit.page import write_page
from qd_fool.commands.audit.photographs import MOST, Labelled, digits_of, read_labelled
from qd_fool.commands.audit.subject import make_subject
from qd_fool.commands.common.console import make_console
from qd_fool.commands.common.foreign import Pictured, picture_settings
from qd_fool.commands.common.networks import Networks
from qd_fool.commands.common.settings import command_line, outcome, record_of
from qd_fool.errors import UserError
from qd_fool.files import read_json, write_json
from qd_fool.judge.audit.comparison import Difference, compare, outcomes_of
from qd_fool.judge.audit.conditions import Outcome, check_conditions, read_condition
from qd_fool.judge.audit.metrics import metrics_of
from qd_fool.judge.audit.report import AuditReport
from qd_fool.judge.audit.stored import read_audit, write_audit
from qd_fool.judge.audit.words import verdict
from qd_fool.judge.separation import check_scikit_learn
from qd_fool.models.joint import JointScorer
from qd_fool.models.network import SingleNetwork
from qd_fool.runs.directory import differences, make_run_dir, new_directory, sole_user

SETTINGS = "settings.json"
"""File that marks the directory of an audit."""


@dataclasses.dataclass(frozen=True)
class AuditResult:
    """The result of `qd-fool audit`.

    Attributes:
      out: Directory of the audit.
      report: The report; None if the audit was interrupted.
      outcomes: Results of the conditions and of the comparison.
      interrupted: Whether a signal ended the audit early.
    """

    out: Path
    report: AuditReport | None
    outcomes: tuple[Outcome, ...]
    interrupted: bool

    @property
    def failed(self) -> bool:
        """Whether a condition failed."""
        return any(outcome.failed for outcome in self.outcomes)


def audit_run(config: AuditConfig, *, console: Console) -> AuditResult:
    """Audit a classifier, or continue an audit.

    Args:
      config: Settings of the audit.
      console: Console for progress and the verdict.

    Raises:
      UserError: Settings are wrong or differ from those of the audit in the directory, a file
        cannot be read, or a search failed. Finished searches are kept.
    """
    # Everything that can be wrong is found before the first evaluation.
    conditions = [read_condition(text) for text in config.fail_if]
    before = None if config.baseline is None else read_audit(config.baseline)
    networks = _networks(config)
    scorer = _single(networks)
    networks = networks.with_engine(networks.engine_of(scorer))
    photographs = _photographs(config, scorer)
    if isinstance(photographs, Labelled):
        check_scikit_learn()
    named = {"imports": config.imports, **_named(config, networks)}
    subject = make_subject(scorer, named, unknown=config.unknown, photographs=photographs)
    budget = evaluations_of_budget(config.budget, classes=len(scorer.class_names))
    out = new_directory(config.out, config.model, "audit")
    record = _record(config, scorer, photographs)
    _check_directory(out, record)

    make_run_dir(out, flag="--out")
    with sole_user(out):
        write_json(out / SETTINGS, record)
        console.print(
            f"auditing {scorer.name} ({scorer.weights}) with {budget:,} evaluations per seed, into "
            f"{out}"
        )
        request = Request(
            budget=budget,
            seeds=config.seeds,
            quick=config.budget == "quick",
            baseline=config.baseline,
        )
        with _log(out) as log:
            report = conduct(subject, request, out, console=console, log=log)
        if report is None:
            again = command_line("audit", config, out=out)
            console.print(f"interrupted, and saved; continue with: {again}")
            return AuditResult(out, None, (), interrupted=True)

        # Check, and write everything. The files are written even if a condition fails.
        write_audit(out / "audit.json", report)
        differences_found: list[Difference] = [] if before is None else compare(report, before)
        outcomes = [
            *check_conditions(conditions, metrics_of(report)),
            *outcomes_of(differences_found, margin=config.max_regression),
        ]
        write_markdown(out / "audit.md", report, outcomes)
        write_page(out / "audit.html", report, outcomes)
        write_junit(out / "junit.xml", report, outcomes)
        _print(report, outcomes, out, console)
        return AuditResult(out, report, tuple(outcomes), interrupted=False)


def _networks(config: AuditConfig) -> Networks:
    fields = ("model", "weights", "mean", "precision")
    values = {name: getattr(config, name) for name in fields}
    return Networks(**values, picture=picture_settings(config)).with_gradient()


def _single(networks: Networks) -> SingleNetwork:
    scorer = networks.load()
    if isinstance(scorer, JointScorer):
        raise UserError(f"--model names {len(scorer.members)} networks: expected one to audit")
    return scorer


def _named(config: AuditConfig, networks: Networks) -> dict[str, Any]:
    """The fields of a search's configuration that name the classifier."""
    pictured = {field.name for field in dataclasses.fields(Pictured)}
    named = {name: getattr(config, name) for name in ("model", "weights", "mean", "precision")}
    return named | {name: getattr(networks.picture, name) for name in sorted(pictured)}


def _photographs(config: AuditConfig, scorer: SingleNetwork) -> Labelled | str:
    most = MOST[config.budget == "quick"]
    if config.photos is not None:
        return read_labelled(config.photos, scorer, most=most, convert=config.convert)
    return digits_of(scorer, most=most) or "There are no photographs: --photos names them."


def _record(
    config: AuditConfig, scorer: SingleNetwork, photographs: Labelled | str
) -> dict[str, Any]:
    labelled = photographs if isinstance(photographs, Labelled) else None
    return {
        "kind": "audit",
        "config": record_of(config),
        "weights_sha256": scorer.weights_sha256,
        "photographs_sha256": None if labelled is None else labelled.sha256,
        "photographs": None if labelled is None else labelled.words,
    }


def _check_directory(out: Path, record: dict[str, Any]) -> None:
    """Check that a directory is empty, or holds the same audit.

    Raises:
      UserError: It holds something else, or an audit with other settings.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"--out {out} is a file: expected a directory")
    names = {path.name for path in out.iterdir()}
    if names <= {".lock", ".settings.partial.json"}:
        return
    if SETTINGS not in names:
        raise UserError(
            f"--out {out} exists and holds no audit (it has no {SETTINGS}): choose another"
        )
    stored = read_json(out / SETTINGS)
    if not isinstance(stored, dict) or stored.get("kind") != "audit":
        raise UserError(f"{out / SETTINGS}: expected the settings of an audit")

    def deciding(record: dict[str, Any]) -> dict[str, Any]:
        facts = {name: record.get(name) for name in ("weights_sha256", "photographs_sha256")}
        return outcome(AuditConfig, record.get("config") or {}) | facts

    different = differences(deciding(stored), deciding(record))
    if different:
        raise UserError(f"cannot continue the audit in {out}: {'; '.join(different)}")


@contextmanager
def _log(out: Path) -> Iterator[Console]:
    """A console that writes what the searches print into `audit.log`."""
    with (out / "audit.log").open("a", encoding="utf-8") as file:
        yield make_console(file=file)


def _print(report: AuditReport, outcomes: list[Outcome], out: Path, console: Console) -> None:
    for warning in report.warnings:
        console.print(f"warning: {warning}")
    for sentence in verdict(report):
        console.print(sentence)
    for outcome_ in outcomes:
        console.print(f"{'FAILED' if outcome_.failed else 'passed'}: {outcome_.name}")
        console.print(f"  {outcome_.words}")
    console.print(f"look at {out / 'audit.html'}")
