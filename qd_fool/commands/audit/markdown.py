"""`audit.md`: the report of an audit as text."""

from collections.abc import Sequence
from pathlib import Path

from qd_fool.commands.audit.tables import (
    Table,
    class_table,
    detector_summary,
    detector_table,
    fooled_table,
    photograph_rows,
    preprocessing_table,
    probe_table,
)
from qd_fool.commands.common.tables import in_markdown, markdown_table, names_in_markdown
from qd_fool.files import write_text
from qd_fool.judge.audit.conditions import Outcome
from qd_fool.judge.audit.report import AuditReport
from qd_fool.judge.audit.words import FOOLED, INTERVALS, verdict


def write_markdown(path: Path, report: AuditReport, outcomes: Sequence[Outcome]) -> None:
    """Write the report as Markdown, in which names from files are text and no markup.

    Args:
      path: Path of the file.
      report: Result of the audit.
      outcomes: Results of the conditions and of the comparison.
    """
    report = names_in_markdown(report)
    network, settings = report.network, report.settings
    lines = [f"# Audit of {network.name}", ""]
    for warning in report.warnings:
        lines += [f"**Warning.** {warning}", ""]
    lines += [" ".join(verdict(report)), ""]
    lines += [
        f"{len(network.classes)} classes; weights {network.weights or 'not named'}; "
        f"{settings.budget:,} counted evaluations per seed, {settings.seeds} "
        f"{'seed' if settings.seeds == 1 else 'seeds'}.",
        "",
    ]
    if outcomes:
        lines += ["## Conditions", ""]
        for each in outcomes:
            lines.append(
                f"- **{'FAILED' if each.failed else 'passed'}**: `{each.name}`. "
                f"{in_markdown(each.words)}"
            )
        lines.append("")
    lines += ["## How many classes are fooled", "", FOOLED, INTERVALS, ""]
    lines += [*_table(fooled_table(report)), ""]
    lines += [f"- **{method.name}**: {method.words}." for method in report.methods]
    lines += ["", "![Classes fooled against evaluations](figures/fooled.png)", ""]
    lines += ["## Most and least robust classes", "", *_table(class_table(report)), ""]
    lines += ["## Would a detector help?", ""]
    summary, detectors = detector_summary(report), detector_table(report)
    if summary is not None and detectors is not None:
        lines += [
            "The share of each method's fooling pictures that pass a detector, if the detector "
            "keeps 95% of the photographs; and its AUROC, where 0.5 is chance.",
            "",
            *_table(summary),
            "",
            "All figures: a picture passes if its score reaches the threshold. The last column is "
            "the accuracy if a rejected photograph counts as wrong. AUPR takes photographs as "
            "positives, and grows with their number.",
            "",
            *_table(detectors),
            "",
        ]
    else:
        lines += ["Not measured.", ""]
    lines += ["## Before the searches", ""]
    if (photographs := photograph_rows(report)) is not None:
        lines += [*_table(photographs), "", "![Reliability](figures/reliability.png)", ""]
    lines += [*_table(probe_table(report)), ""]
    if (preprocessings := preprocessing_table(report)) is not None:
        lines += [*_table(preprocessings), ""]
    lines += ["## What this audit does not say", ""]
    lines += [f"- {note}" for note in report.not_measured]
    write_text(path, lines)


def _table(table: Table) -> list[str]:
    return markdown_table(table.heads, table.rows)
