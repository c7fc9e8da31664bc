"""Folders of the repository that tests read."""

from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
ARCHIVES = REPOSITORY / "archives"
BENCHMARKS = REPOSITORY / "benchmarks"
FIXTURES = REPOSITORY / "tests" / "fixtures"
