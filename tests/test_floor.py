"""`constraints-floor.txt` is what pyproject.toml allows as the oldest."""

import re
import tomllib

from paths import REPOSITORY

EXTRAS = ("data",)
"""Extras that the tests on real data need."""


def test_the_floor_is_that_of_the_package():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"]]
    for extra in EXTRAS:
        wanted += project["optional-dependencies"][extra]
    floors = dict(re.match(r"([\w-]+)>=([\d.]+)", line).groups() for line in wanted)
    lines = (REPOSITORY / "constraints-floor.txt").read_text().splitlines()
    found = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert found == floors
