"""Finished runs that tests of several modules look at from many sides."""

import pytest
from command import SMALL, evolve


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory):
    """A small run; tests only read it."""
    path = tmp_path_factory.mktemp("runs") / "small"
    assert evolve(path, *SMALL) == 0
    return path
