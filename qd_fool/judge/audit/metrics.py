"""The named metrics of an audit, for conditions, comparisons and data frames."""

import dataclasses
import math

from qd_fool.judge.audit.report import THRESHOLDS, AuditReport, Method
from qd_fool.judge.detectors import DETECTORS
from qd_fool.judge.intervals import Value

DEFAULT_METHOD = "cppn"
"""Method of a metric whose name states none: every classifier allows it."""


@dataclasses.dataclass(frozen=True)
class Metric:
    """A number of an audit.

    Attributes:
      name: Name, such as "cppn.fooled@.99".
      value: The number; infinity for evaluations beyond the budget.
      low: Lower bound of the interval (95%); None if there is none.
      high: Upper bound of the interval.
      words: What the number is, for people.
    """

    name: str
    value: float
    low: float | None
    high: float | None
    words: str


def dotted(threshold: float) -> str:
    """Return a threshold as the names of metrics spell it: ".99" for 0.99."""
    return f"{threshold:g}".lstrip("0")


def metrics_of(report: AuditReport) -> dict[str, Metric]:
    """Return all metrics that an audit measured, by name.

    Args:
      report: Result of an audit.
    """
    found: list[Metric] = []

    def add(name: str, value: Value, words: str) -> None:
        found.append(Metric(name, value.value, value.low, value.high, words))

    if (photos := report.photographs) is not None:
        add("accuracy", photos.accuracy, "share of photographs that is classified correctly")
        add("confidence", photos.confidence, "mean confidence in the top class of photographs")
        add("ece", photos.ece, "expected calibration error on photographs, 15 bins")
    for probe in report.probes:
        for threshold, share in zip(THRESHOLDS, probe.shares, strict=True):
            name = f"{probe.name}@{dotted(threshold)}"
            add(name, share, f"share of {probe.words} with a confidence of {threshold} or more")
    for method in report.methods:
        found += _metrics_of_method(method)
    return {metric.name: metric for metric in found}


def _metrics_of_method(method: Method) -> list[Metric]:
    found, things = [], "classes" if method.kind == "search" else "pictures"
    for fooled in method.fooled:
        at = dotted(fooled.threshold)
        share = fooled.share
        words = f"share of {things} fooled at a confidence of {fooled.threshold} or more"
        found.append(
            Metric(f"{method.name}.fooled@{at}", share.value, share.low, share.high, words)
        )
        if fooled.robustness is None:
            continue
        median = math.inf if fooled.median_evaluations is None else fooled.median_evaluations
        words = f"median evaluations until a class is fooled at {fooled.threshold}"
        found.append(Metric(f"{method.name}.evaluations@{at}", median, None, None, words))
        part = fooled.robustness
        words = f"mean part of the budget until a class is fooled at {fooled.threshold}"
        found.append(
            Metric(f"{method.name}.robustness@{at}", part.value, part.low, part.high, words)
        )
    for detector, result in method.detectors.items():
        for name in ("auroc", "aupr", "fpr95"):
            value = getattr(result, name)
            words = f"{name.upper()} of {DETECTORS[detector]}"
            name = f"{method.name}.{name}.{detector}"
            found.append(Metric(name, value.value, value.low, value.high, words))
    return found


def full_name(name: str) -> str:
    """Return the name of a metric with its method: "cppn.fooled@.99" for "fooled@0.99".

    Args:
      name: Name, as a user typed it.
    """
    head, at, threshold = name.strip().lower().partition("@")
    if at and threshold.startswith("0."):
        name = f"{head}@{threshold.lstrip('0')}"
    else:
        name = f"{head}{at}{threshold}"
    first = name.partition("@")[0].partition(".")[0]
    searched = ("fooled", "evaluations", "robustness", "auroc", "aupr", "fpr95")
    return f"{DEFAULT_METHOD}.{name}" if first in searched else name
