"""The table of names."""

import pytest

from qd_fool.errors import UserError
from qd_fool.registry import Registry


def test_names_are_unique_and_unknown_ones_are_told():
    table: Registry[int] = Registry("number")
    assert table.register("one")(1) == 1
    assert (table["one"], list(table)) == (1, ["one"])
    with pytest.raises(ValueError, match="'one' is registered already"):
        table.register("one")(2)
    with pytest.raises(UserError, match="unknown number 'two': expected one of one"):
        table["two"]
