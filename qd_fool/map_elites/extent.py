"""The extent that a run can have. This module imports no JAX."""

from types import SimpleNamespace

from qd_fool.errors import UserError, check_range


def check_extent(*, generations: int, batch_size: int, seed: int) -> None:
    """Check that the evaluations and the seed of a run fit into 32 bits.

    Raises:
      UserError: A number is out of range.
    """
    extent = SimpleNamespace(generations=generations, seed=seed)
    check_range(extent, "generations", least=0)
    check_range(extent, "seed", least=0, most=2**32 - 1)
    if (generations + 1) * batch_size >= 2**31:
        raise UserError(
            f"{generations} generations of {batch_size}: expected fewer than 2^31 evaluations"
        )
