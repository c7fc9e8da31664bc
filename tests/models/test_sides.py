"""Sizes of inputs: a side, or height and width."""

import pytest

from qd_fool.errors import UserError
from qd_fool.models.sides import read_size


@pytest.mark.parametrize(
    ("given", "size"), [(8, 8), ("8", 8), ("48x192", (48, 192)), ("9X9", 9), ((4, 6), (4, 6))]
)
def test_sizes(given, size):
    assert read_size(given) == size


@pytest.mark.parametrize("given", [0, "", "8x", "8x9x3", "-8", "8.5", "0x4"])
def test_what_is_no_size(given):
    with pytest.raises(UserError, match="expected the side in pixels"):
        read_size(given)
