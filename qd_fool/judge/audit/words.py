"""An audit in words: the verdict in three sentences, and what "fooled" means."""

from qd_fool.judge.audit.report import AuditReport, Method

SURE = 0.99
"""Threshold of the verdict."""

MADE_BY = {
    "cppn": "CPPN pictures that were evolved from nothing",
    "direct": "evolved pixels",
    "gradient": "gradient ascent",
}
"""What a method makes, in the verdict."""

FOOLED = (
    "A class is fooled at a threshold if a search made a picture, from nothing, to which the "
    "classifier assigns this class with a confidence of the threshold or more. Each confidence is "
    "that of the 8-bit picture."
)
"""Definition that stands beside the numbers."""

INTERVALS = (
    "Intervals are 95%. Counts have Student's interval over seeds if there are three seeds or "
    "more, else Wilson's over classes; detectors have bootstrap intervals over pictures."
)
"""How the intervals were computed."""


def counted(method: Method, threshold: float = SURE) -> str:
    """Return a method's count at a threshold in words, such as "9 of 10".

    Args:
      method: Result of a method.
      threshold: One of the report's thresholds.
    """
    fooled = next(each for each in method.fooled if each.threshold == threshold)
    count = f"{fooled.count:.1f}".removesuffix(".0")
    return f"{count} of {fooled.tried}"


def searched(report: AuditReport) -> list[Method]:
    """Return the methods that searched."""
    return [method for method in report.methods if method.kind == "search"]


def verdict(report: AuditReport) -> list[str]:
    """Return the verdict in three sentences: how many are fooled, what detects it, what is open.

    Args:
      report: Result of an audit.
    """
    return [_claimed(report), _detected(report), _open(report)]


def _claimed(report: AuditReport) -> str:
    first, *others = searched(report)
    share = report.settings.shares[first.name]
    rest = "; ".join(
        f"by {MADE_BY[method.name]}, {counted(method)} within "
        f"{report.settings.shares[method.name]:,}"
        for method in others
    )
    return (
        f"{counted(first)} classes can be claimed at a confidence of {SURE} within {share:,} "
        f"evaluations, by {MADE_BY[first.name]}" + (f"; {rest}." if rest else ".")
    )


def _detected(report: AuditReport) -> str:
    judged = [method for method in report.methods if method.detectors]
    if not judged:
        why = "there are no photographs" if report.photographs is None else "too few fool it"
        return f"Whether a detector would catch these pictures was not measured, because {why}."
    # The best detector is the one whose worst method is the least bad.
    names = set.intersection(*(set(method.detectors) for method in judged))
    passed = {
        name: max(method.detectors[name].fpr95.value for method in judged) for name in sorted(names)
    }
    best = min(passed, key=lambda name: passed[name])
    worst = max(judged, key=lambda method: method.detectors[best].fpr95.value)
    return (
        f"The best of {len(names)} detectors ({best}) that keeps 95% of the photographs lets "
        f"{passed[best]:.0%} of the fooling pictures pass of the method that it catches least "
        f"({worst.name})."
    )


def _open(report: AuditReport) -> str:
    left = [
        method.name
        for method in searched(report)
        if next(each for each in method.fooled if each.threshold == SURE).share.value < 1
    ]
    budget = f"{report.settings.budget:,} evaluations"
    if left:
        return (
            f"Classes that were not fooled within {budget} may be fooled with more: this audit can "
            "find weakness, and never shows its absence."
        )
    return (
        f"Every method fooled every class that it tried within {budget}: only the speed differs, "
        "and a larger budget would say no more."
    )
