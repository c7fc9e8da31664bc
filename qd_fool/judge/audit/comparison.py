"""An audit compared with a baseline: is the classifier worse than the one before?

A metric fails if it is worse by more than a margin, and if such a difference is improbable by
chance (one-sided tests, Holm's correction over all metrics).

- accuracy: McNemar's exact test on the photographs that only one of the two classifies correctly;
- calibration error: normal test on the difference, with the bootstrap's standard errors;
- evaluations until a class is fooled at .99, per method: survival times, censored at the budget,
  paired by class and seed. Wilcoxon's signed-rank test on the differences, averaged over seeds; the
  size of the difference is that of the restricted means, as parts of the budget.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Bool

from qd_fool.errors import UserError
from qd_fool.judge.audit.conditions import Outcome
from qd_fool.judge.audit.fooled import first_evaluations, parts_of_budget
from qd_fool.judge.audit.metrics import dotted
from qd_fool.judge.audit.report import AuditReport, Method
from qd_fool.judge.intervals import Value
from qd_fool.judge.statistics import LEVEL

ALPHA = 0.05
"""Highest probability of an error of the first kind, over all metrics together."""

COMPARED = 0.99
"""Threshold of the compared times."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """A metric in two audits.

    Attributes:
      metric: Name of the metric.
      before: Value of the baseline.
      now: Value of this audit.
      worse: How much worse it is now; negative if it is better.
      p: Probability of such a difference by chance, corrected for the number of metrics.
    """

    metric: str
    before: float
    now: float
    worse: float
    p: float


def compare(now: AuditReport, before: AuditReport) -> list[Difference]:
    """Compare all metrics that both audits measured.

    Args:
      now: Audit of the classifier.
      before: Audit of the baseline.

    Raises:
      UserError: The audits differ in classes, budget, seeds or photographs, so that metrics do not
        mean the same.
    """
    _check_same(now, before)
    found = []
    if now.photographs is not None and before.photographs is not None:
        a, b = now.photographs, before.photographs
        p = _p_of_losses(right_bits(before), right_bits(now))
        found.append(_difference("accuracy", b.accuracy, a.accuracy, p, higher_is_worse=False))
        p = _p_normal(b.ece, a.ece)
        found.append(_difference("ece", b.ece, a.ece, p, higher_is_worse=True))
    for method in now.methods:
        earlier = before.method(method.name)
        if earlier is not None and method.kind == "search":
            found += _compare_methods(method, earlier, budget=now.settings.shares[method.name])
    return _corrected(found)


def outcomes_of(differences: Sequence[Difference], *, margin: float) -> list[Outcome]:
    """Return which differences fail the audit.

    Args:
      differences: Differences from `compare`.
      margin: Most that a metric may be worse, absolute.
    """
    outcomes = []
    for d in differences:
        failed = d.worse > margin and d.p < ALPHA
        how = f"worse by {d.worse:.4f}" if d.worse > 0 else f"better by {-d.worse:.4f}"
        if d.worse == 0:
            how = "unchanged"
        words = (
            f"{d.metric} was {d.before:.4f} and is {d.now:.4f}: {how}, corrected p {d.p:.2g}; "
            f"allowed {margin:g}"
        )
        outcomes.append(Outcome(f"regression of {d.metric}", failed, words))
    return outcomes


def right_bits(report: AuditReport) -> Bool[np.ndarray, " photographs"]:
    """Return whether each photograph was classified correctly.

    Args:
      report: Audit with photographs.
    """
    photographs = report.photographs
    assert photographs is not None  # noqa: S101  # the caller has checked
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(photographs.right), np.uint8))
    return bits[: photographs.count].astype(bool)


def _check_same(now: AuditReport, before: AuditReport) -> None:
    facts: dict[str, tuple[Any, Any]] = {
        "classes": (len(before.network.classes), len(now.network.classes)),
        "budget": (before.settings.budget, now.settings.budget),
        "seeds": (before.settings.seeds, now.settings.seeds),
    }
    if now.photographs is not None and before.photographs is not None:
        facts["photographs"] = (before.photographs.sha256[:12], now.photographs.sha256[:12])
    for name, (then, found) in facts.items():
        if then != found:
            raise UserError(
                f"--baseline: its {name} are {then}, and those of this audit {found}: expected the "
                "same"
            )


def _compare_methods(now: Method, before: Method, *, budget: int) -> list[Difference]:
    if now.classes != before.classes or len(now.searches) != len(before.searches):
        return []
    # Survival times, censored at the budget, in pairs of class and seed.
    time, time_before = (
        parts_of_budget(first_evaluations(each.searches, COMPARED), budget)
        for each in (now, before)
    )
    # Searches of one seed share an archive, so that a class counts once, with its mean over seeds.
    sooner = (time_before - time).mean(axis=0)
    p = 1.0
    if np.any(sooner):
        p = float(scipy.stats.wilcoxon(sooner, alternative="greater").pvalue)
    mean, mean_before = float(time.mean()), float(time_before.mean())
    name = f"{now.name}.robustness@{dotted(COMPARED)}"
    return [Difference(name, mean_before, mean, mean_before - mean, p)]


def _difference(
    name: str, before: Value, now: Value, p: float, *, higher_is_worse: bool
) -> Difference:
    change = now.value - before.value
    return Difference(name, before.value, now.value, change if higher_is_worse else -change, p)


def _p_of_losses(before: np.ndarray, now: np.ndarray) -> float:
    """Probability of so many losses among the changes, if gains and losses are equally likely."""
    losses, gains = int((before & ~now).sum()), int((~before & now).sum())
    if not losses + gains:
        return 1.0
    return float(scipy.stats.binomtest(losses, losses + gains, alternative="greater").pvalue)


def _p_normal(lower: Value, higher: Value) -> float:
    """Probability that the second value is higher by so much by chance."""
    z = 2 * scipy.stats.norm.ppf((1 + LEVEL) / 2)
    error = np.hypot((lower.high - lower.low) / z, (higher.high - higher.low) / z)
    gap = higher.value - lower.value
    if error == 0:
        return 1.0 if gap <= 0 else 0.0
    return float(scipy.stats.norm.sf(gap / error))


def _corrected(differences: list[Difference]) -> list[Difference]:
    """Holm's correction of the probabilities; the order of the metrics stays."""
    order = np.argsort([d.p for d in differences], kind="stable")
    highest, corrected = 0.0, dict[int, float]()
    for rank, i in enumerate(order.tolist()):
        highest = max(highest, min(1.0, (len(differences) - rank) * differences[i].p))
        corrected[i] = highest
    return [dataclasses.replace(d, p=corrected[i]) for i, d in enumerate(differences)]
