"""The extent that a run can have. This module imports no JAX."""

from qd_fool.errors import UserError


def check_extent(*, generations: int, batch_size: int, seed: int) -> None:
    """See that a run can be counted and seeded in 32 bits.

    Raises:
      UserError: it can't.
    """
    if generations < 0:
        raise UserError(f"generations is {generations}: expected 0 or more")
    if not 0 <= seed < 2**32:
        raise UserError(f"seed is {seed}: expected 0 to {2**32 - 1}")
    if (generations + 1) * batch_size >= 2**31:
        raise UserError(
            f"{generations} generations of {batch_size}: expected fewer than 2^31 evaluations"
        )
