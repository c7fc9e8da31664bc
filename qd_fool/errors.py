"""The exception for bad input, and the check of a setting's range."""

import math
from typing import Any

Number = int | float


class UserError(ValueError):
    """Bad input, in one sentence: what was found, where, and what was expected.

    The command prints the sentence without a traceback and exits with code 2.
    """


class PauseError(UserError):
    """A reason to pause a run that is not in its settings, such as a service that is down.

    The run is saved, and can continue once the reason is gone.
    """


class BudgetSpentError(PauseError):
    """The budget of a run is spent: it pauses as it was asked to."""


class DiskError(UserError):
    """A disk that takes no more, such as a full one. What was written before is whole."""


class FieldError(UserError):
    """A setting that is out of range. The library names the field, the command its flag.

    Attributes:
      field: Name of the field, such as `batch_size`.
      problem: The rest of the sentence, such as "is 0: expected 1 or more".
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field
        self.problem = problem

    def with_flag(self) -> str:
        """Return the sentence with the command's flag in place of the field's name."""
        return f"--{self.field.replace('_', '-')} {self.problem}"


def check_range(
    settings: Any,
    *fields: str,
    least: Number | None = None,
    above: Number | None = None,
    most: Number | None = None,
    below: Number | None = None,
    owner: str = "",
) -> None:
    """Check that fields of settings are finite numbers in a range. Skips fields that are None.

    Args:
      settings: Object that has the fields.
      *fields: Names of the fields.
      least: Lowest value that is allowed.
      above: Number that the value must exceed, in place of `least`.
      most: Highest value that is allowed.
      below: Number that the value must stay below, in place of `most`.
      owner: Name before the field's in messages and flags, such as "gradient" in `gradient_steps`.

    Raises:
      FieldError: A value is out of range. The error names the field, the value and the range.
    """
    for field in fields:
        value = getattr(settings, field)
        if value is None:
            continue
        good = math.isfinite(value)
        good &= (least is None or value >= least) and (above is None or value > above)
        good &= (most is None or value <= most) and (below is None or value < below)
        if not good:
            name = f"{owner}_{field}" if owner else field
            expected = _range_words(least=least, above=above, most=most, below=below)
            raise FieldError(name, f"is {value}: expected {expected}")


def _range_words(
    *, least: Number | None, above: Number | None, most: Number | None, below: Number | None
) -> str:
    if least is not None:
        if most is None and below is None:
            return f"{least} or more"
        return f"{least} to {most}" if below is None else f"{least} to below {below}"
    if above is None:
        return f"{most} or fewer" if below is None else f"less than {below}"
    if below is not None:
        return f"more than {above} and less than {below}"
    return f"more than {above}" + ("" if most is None else f", up to {most:,}")
