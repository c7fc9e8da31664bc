"""What a function of pictures returns, checked: numbers per picture, or its own errors."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from qd_fool.errors import UserError
from qd_fool.user_files import line_of

PROBES = 3
"""Pictures of noise that a function is shown once, to learn how many numbers it returns."""


def noise_like(shape: tuple[int, int, int]) -> UInt8[np.ndarray, "n height width channels"]:
    """Pictures of noise, always the same.

    Args:
      shape: Height, width and channels.
    """
    return np.random.default_rng(0).integers(0, 256, (PROBES, *shape), dtype=np.uint8)


def called(call: Callable[[], Any], name: str, file: Path | None) -> Any:
    """The result of a user's function. Its errors become one sentence."""
    try:
        return call()
    except UserError:
        raise
    except Exception as error:
        place = "" if file is None else line_of(error, file.resolve())
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise UserError(f"{name} failed{place}: {reason}") from error


def as_rows(found: Any, n: int, *, source: str) -> Float[np.ndarray, "n numbers"]:
    """The returned numbers as `(n, numbers)` float32.

    Raises:
      UserError: They are no finite numbers, or have another shape.
    """
    try:
        numbers = np.asarray(found)
    except (ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"{source} returned a {type(found).__name__}: {error}") from error
    if numbers.dtype.kind not in "fiub":
        raise UserError(f"{source} returned {numbers.dtype} values: expected numbers")
    axes = [side for side in numbers.shape[1:] if side != 1]
    if numbers.shape[:1] != (n,) or len(axes) > 1 or not math.prod(axes):
        raise UserError(
            f"{source} returned an array of shape {numbers.shape} for {n} pictures: expected "
            f"({n}, classes)"
        )
    with np.errstate(over="ignore"):
        rows = numbers.reshape(n, -1).astype(np.float32)
    # A number that is finite stays finite. -inf is the logit of a class that the network masks.
    rows = np.where(np.isfinite(numbers.reshape(n, -1)), np.clip(rows, -LARGEST, LARGEST), rows)
    bad = int((np.isnan(rows) | (rows == np.inf)).any(axis=1).sum())
    if bad:
        raise UserError(f"{source} returned NaN or infinite scores for {bad} of {n} pictures")
    return rows


def kind_of(rows: Float[np.ndarray, "n numbers"], outputs: str, *, source: str) -> str:
    """Whether numbers are logits or probabilities, as far as `outputs` leaves that open.

    Raises:
      UserError: They are neither, or something else than `outputs` says.
    """
    check_probabilities(rows, outputs, source=source)
    if outputs != "auto":
        return outputs
    if rows.min() < 0 or rows.max() > 1:
        return "logits"
    if rows.shape[1] == 1:
        raise UserError(
            f"{source} returned one number per picture, between 0 and 1 for noise: choose "
            "--outputs probabilities or --outputs logits"
        )
    if np.abs(rows.sum(axis=1) - 1).max() > SUM:
        raise UserError(
            f"{source} returned numbers between 0 and 1 that do not add up to 1: choose --outputs "
            "label-probabilities if each label holds independently of the others, or --outputs "
            "logits"
        )
    return "probabilities"


LARGEST = np.finfo(np.float32).max
"""Largest number of float32."""

SUM = 0.01
"""Largest distance of a sum of probabilities from 1."""


def check_probabilities(rows: Float[np.ndarray, "n numbers"], kind: str, *, source: str) -> None:
    """Check numbers of a kind; there is nothing to check for logits.

    Raises:
      UserError: The numbers are no probabilities.
    """
    if not kind.endswith("probabilities"):
        return
    if rows.min() < -SUM or rows.max() > 1 + SUM:
        found = rows.min() if rows.min() < -SUM else rows.max()
        raise UserError(f"{source} returned {found:.4g}: a probability is between 0 and 1")
    totals = rows.sum(axis=1)
    alone = kind != "probabilities" or rows.shape[1] == 1
    if not alone and np.abs(totals - 1).max() > SUM:
        worst = totals[np.abs(totals - 1).argmax()]
        raise UserError(f"{source} returned probabilities that add up to {worst:.4g}, not to 1")
