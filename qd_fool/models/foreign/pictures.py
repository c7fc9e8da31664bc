"""Facts about the pictures of a user's network, checked."""

from collections.abc import Sequence

from qd_fool.errors import UserError

Numbers = float | int | Sequence[float | int]
"""One number, or one per channel."""

LAYOUTS, CHANNELS = ("auto", "nchw", "nhwc"), ("auto", "rgb", "bgr", "gray")

LARGEST = 4096
"""Longest side of an input, in pixels."""


def check_choice(flag: str, value: str, known: tuple[str, ...]) -> None:
    """Check that the value of a flag is one of the known words."""
    if value not in known:
        raise UserError(f"{flag} is {value!r}: expected one of {', '.join(known)}")


def per_channel(
    flag: str,
    value: Numbers | None,
    usual: tuple[float, ...],
    depth: int,
    *,
    positive: bool = False,
) -> tuple[float, ...]:
    """One number per channel."""
    if value is None:
        return usual
    values = tuple(float(v) for v in (value if isinstance(value, Sequence) else (value,)))
    values = values * depth if len(values) == 1 else values
    if len(values) != depth:
        raise UserError(f"{flag}: {len(values)} numbers: expected one, or one per channel")
    if not all(abs(v) < 1e9 and (v > 0 or not positive) for v in values):
        raise UserError(
            f"{flag} is {values}: expected {'positive' if positive else 'finite'} numbers"
        )
    return values
