"""Conditions that fail an audit, such as `fooled@.99 > 10%`."""

import dataclasses
import difflib
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from qd_fool.errors import UserError
from qd_fool.judge.audit.metrics import Metric, full_name

OPERATORS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
)

FORM = re.compile(
    r"\s*(?P<name>[A-Za-z][\w@.\-]*)\s*(?P<op>>=|<=|>|<)\s*(?P<number>[\d.]+(?:e-?\d+)?)\s*"
    r"(?P<percent>%?)\s*"
)


@dataclasses.dataclass(frozen=True)
class Condition:
    """A condition under which an audit fails.

    Attributes:
      text: The condition, as the user typed it.
      metric: Full name of the metric.
      operator: One of `OPERATORS`.
      number: Number to compare with.
    """

    text: str
    metric: str
    operator: str
    number: float


@dataclasses.dataclass(frozen=True)
class Outcome:
    """A check and its result.

    Attributes:
      name: What was checked.
      failed: Whether the audit fails because of it.
      words: The result in one sentence.
    """

    name: str
    failed: bool
    words: str


def read_condition(text: str) -> Condition:
    """Read a condition.

    Args:
      text: `METRIC OPERATOR NUMBER`, such as "fooled@.99 > 10%".

    Raises:
      UserError: The text has another form.
    """
    match = FORM.fullmatch(text)
    if match is None:
        raise UserError(
            f"--fail-if {text!r}: expected METRIC, one of {' '.join(OPERATORS)}, and a number, "
            "such as 'fooled@.99 > 10%'"
        )
    try:
        number = float(match["number"]) / (100 if match["percent"] else 1)
    except ValueError as error:
        raise UserError(f"--fail-if {text!r}: {match['number']} is no number") from error
    return Condition(text.strip(), full_name(match["name"]), match["op"], number)


def check_conditions(
    conditions: Sequence[Condition], metrics: Mapping[str, Metric]
) -> list[Outcome]:
    """Check all conditions.

    Args:
      conditions: Conditions under which the audit fails.
      metrics: Metrics of the audit, by name.

    Raises:
      UserError: A condition names a metric that the audit did not measure: such a condition can
        never fail, and so protects from nothing.
    """
    outcomes = []
    for condition in conditions:
        metric = metrics.get(condition.metric)
        if metric is None:
            close = difflib.get_close_matches(condition.metric, metrics, n=3, cutoff=0.4)
            near = f"; similar ones are {', '.join(close)}" if close else ""
            raise UserError(
                f"--fail-if {condition.text!r}: this audit did not measure {condition.metric}{near}"
            )
        failed = OPERATORS[condition.operator](metric.value, condition.number)
        interval = "" if metric.low is None else f" (95%: {metric.low:.4g} to {metric.high:.4g})"
        words = f"{metric.name}, the {metric.words}, is {metric.value:.4g}{interval}"
        outcomes.append(Outcome(condition.text, failed, words))
    return outcomes
