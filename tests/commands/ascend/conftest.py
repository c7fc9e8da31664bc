"""A finished ascent that tests of several modules look at from many sides."""

import pytest
from command import DIGITS, ascend


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """All ten digits, from noise, two starts each; tests only read it."""
    run = tmp_path_factory.mktemp("ascend") / "digits"
    assert ascend(run, *DIGITS, "--devices", 2) == 0
    return run
