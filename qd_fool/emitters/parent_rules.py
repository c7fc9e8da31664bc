"""Rules for the choice of parents. This module imports no JAX."""

from typing import Literal, get_args

from qd_fool.errors import UserError

Parents = Literal["uniform", "young", "weak", "strong", "promising", "unsure"]
"""Uniform over the occupied cells (the original, map_elite.hpp:189-192); or, of two cells so drawn,
the young (born later), weak or strong one (by confidence); or promising: most offspring for cells
whose confidence is neither low nor high; or unsure: the lower a cell's confidence, the more."""


def check_parents(parents: str) -> None:
    """Check the name of a rule.

    Raises:
      UserError: There is no such rule.
    """
    if parents not in get_args(Parents):
        raise UserError(f"parents is {parents!r}: expected one of {', '.join(get_args(Parents))}")
