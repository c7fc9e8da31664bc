"""The tables of an audit, as heads and rows of text, for Markdown and for the page."""

import dataclasses

from qd_fool.judge.audit.report import AuditReport
from qd_fool.judge.audit.words import counted
from qd_fool.judge.detectors import DETECTORS
from qd_fool.judge.intervals import Value
from qd_fool.scoring.confidence import confidence_of


@dataclasses.dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
      heads: Head of each column.
      rows: Cells of each row; the first names the row.
    """

    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def shown_value(value: Value, *, percent: bool = True) -> str:
    """Return a number with its interval, such as "12.5% (10.1–15.3%)".

    Args:
      value: The number.
      percent: Whether to write it in percent.
    """
    if percent:
        middle, low, high = (
            f"{100 * number:.1f}".removesuffix(".0")
            for number in (value.value, value.low, value.high)
        )
        return f"{middle}% ({low}–{high}%)"  # noqa: RUF001
    return f"{value.value:.3f} ({value.low:.3f}–{value.high:.3f})"  # noqa: RUF001


def fooled_table(report: AuditReport) -> Table:
    """The classes or pictures that each method fools, per threshold.

    Args:
      report: Result of an audit.
    """
    thresholds = [each.threshold for each in report.methods[0].fooled]
    rows = []
    for method in report.methods:
        share = report.settings.shares.get(method.name)
        cells = [
            f"{counted(method, each.threshold)}: {shown_value(each.share)}"
            for each in method.fooled
        ]
        medians = []
        if method.kind == "search":
            for each in method.fooled:
                known = each.median_evaluations is not None
                medians.append(f"{each.median_evaluations:,.0f}" if known else "-")
        rows.append(
            (
                method.name,
                "-" if share is None else f"{share:,}",
                *cells,
                " / ".join(medians) or "-",
            )
        )
    heads = (
        "method",
        "evaluations",
        *(f"fooled at {t:g}" for t in thresholds),
        "median evaluations to " + " / ".join(f"{t:g}" for t in thresholds),
    )
    return Table(heads, tuple(rows))


def detector_summary(report: AuditReport) -> Table | None:
    """One row per detector, one column per method; None if none was measured.

    Args:
      report: Result of an audit.
    """
    judged = [method for method in report.methods if method.detectors]
    rows = []
    for name, words in DETECTORS.items():
        cells = []
        for method in judged:
            if (result := method.detectors.get(name)) is None:
                cells.append("-")
                continue
            cells.append(f"{shown_value(result.fpr95)}; AUROC {result.auroc.value:.3f}")
        if set(cells) - {"-"}:
            rows.append((f"{name}: {words}", *cells))
    heads = ("detector", *(f"{each.name}, {each.judged} pictures" for each in judged))
    return Table(heads, tuple(rows)) if rows else None


def detector_table(report: AuditReport) -> Table | None:
    """The detectors per method; None if none was measured.

    Args:
      report: Result of an audit.
    """
    rows = []
    for method in report.methods:
        for name, result in method.detectors.items():
            rows.append(
                (
                    method.name,
                    name,
                    shown_value(result.auroc, percent=False),
                    shown_value(result.aupr, percent=False),
                    shown_value(result.fpr95),
                    _threshold(name, result.threshold),
                    f"{result.accuracy:.1%}",
                )
            )
    heads = (
        "method",
        "detector",
        "AUROC",
        "AUPR",
        "fooling pictures that pass (FPR at 95% TPR)",
        "threshold",
        "accuracy with it",
    )
    return Table(heads, tuple(rows)) if rows else None


def _threshold(detector: str, threshold: float) -> str:
    """A threshold for people: detectors that order by log-odds show a probability."""
    if detector in ("msp", "msp-t"):
        return f"p >= {confidence_of(threshold):.6f}"
    if detector == "unknown":
        return f"p(unknown) <= {confidence_of(-threshold):.6f}"
    return f"{threshold:.4g}"


def probe_table(report: AuditReport) -> Table:
    """The confidence in pictures that were not optimised.

    Args:
      report: Result of an audit.
    """
    rows = tuple(
        (
            probe.words,
            f"{probe.pictures}",
            f"{probe.median:.4f}",
            f"{probe.highest:.4f} ({probe.label.split(',')[0]})",
            *(f"{share.value:.1%}" for share in probe.shares),
        )
        for probe in report.probes
    )
    thresholds = [each.threshold for each in report.methods[0].fooled]
    heads = ("pictures", "number", "median confidence", "highest")
    return Table((*heads, *(f"at {t:g} or more" for t in thresholds)), rows)


def class_table(report: AuditReport) -> Table:
    """The most and least robust classes per method.

    Args:
      report: Result of an audit.
    """
    names = report.network.classes

    def listed(classes: tuple[int, ...]) -> str:
        return "; ".join(names[k].split(",")[0] for k in classes)

    rows = tuple(
        (method.name, listed(method.weakest), listed(method.strongest))
        for method in report.methods
        if method.kind == "search"
    )
    return Table(("method", "fooled most easily", "fooled least easily"), rows)


def preprocessing_table(report: AuditReport) -> Table | None:
    """Accuracy with other preprocessings; None if it was not measured.

    Args:
      report: Result of an audit.
    """
    if not report.preprocessings:
        return None
    first = report.preprocessings[0]
    rows = [("the classifier's own", f"{first.usual:.1%}", "")]
    rows += [(each.name, f"{each.accuracy:.1%}", f"{each.p:.2g}") for each in report.preprocessings]
    return Table(
        ("preprocessing", f"accuracy on {first.photographs} photographs", "p"), tuple(rows)
    )


def photograph_rows(report: AuditReport) -> Table | None:
    """Accuracy and calibration; None if there are no photographs.

    Args:
      report: Result of an audit.
    """
    photos = report.photographs
    if photos is None:
        return None
    rows = (
        ("accuracy", shown_value(photos.accuracy)),
        ("mean confidence", shown_value(photos.confidence)),
        ("expected calibration error (15 bins)", shown_value(photos.ece)),
        (
            f"the same at the fitted temperature {photos.temperature:.2f}, on the other half",
            f"{photos.ece_scaled:.1%}",
        ),
    )
    return Table((photos.words, "value and 95% interval"), rows)
