"""What each test costs: CPU seconds and compilations, for `pytest --costs FILE`.

Seconds are those of the process and of the commands that it ran, on all cores: unlike durations
they hardly depend on what else the machine does. `python tests/costs.py FILE...` adds them up.
"""

import collections
import json
import os
import sys
from pathlib import Path

import pytest

COMPILED = "/jax/core/compile/backend_compile_duration"
CACHED = "/jax/compilation_cache/cache_hits"


def cpu_seconds() -> float:
    now = os.times()
    return now.user + now.system + now.children_user + now.children_system


class Costs:
    """A line of JSON per phase of a test: node, phase, seconds, programs compiled, and cached."""

    def __init__(self, path: Path):
        import jax

        self.file = path.open("w", 1, encoding="utf-8")
        self.counts: collections.Counter[str] = collections.Counter()
        jax.monitoring.register_event_listener(lambda event, **_: self.counts.update([event]))
        jax.monitoring.register_event_duration_secs_listener(
            lambda event, seconds, **_: self.counts.update([event])
        )

    def phase(self, node: str, name: str):
        self.counts.clear()
        before = cpu_seconds()
        result = yield
        row = node, name, cpu_seconds() - before, self.counts[COMPILED], self.counts[CACHED]
        self.file.write(json.dumps(row) + "\n")
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_collection(self):
        return (yield from self.phase("collection", "collection"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item):
        return (yield from self.phase(item.nodeid, "setup"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        return (yield from self.phase(item.nodeid, "call"))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_teardown(self, item):
        return (yield from self.phase(item.nodeid, "teardown"))

    def pytest_unconfigure(self):
        self.file.close()


def main(paths):
    """Print the most expensive files and tests."""
    files, tests = collections.defaultdict(list), collections.defaultdict(list)
    for path in paths:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            node, phase, *row = json.loads(line)
            files[node.split("::")[0]].append(row)
            tests[f"{node} ({phase})"].append(row)
    for table, most in ((files, 200), (tests, 60)):
        print(f"{'CPU s':>8} {'compiled':>9} {'cached':>7}")
        sums = {
            name: [sum(column) for column in zip(*rows, strict=True)]
            for name, rows in table.items()
        }
        for name, row in sorted(sums.items(), key=lambda item: -item[1][0])[:most]:
            print(f"{row[0]:8.1f} {row[1]:9} {row[2]:7}  {name}")
        print(f"{sum(row[0] for row in sums.values()):8.1f} in all\n")


if __name__ == "__main__":
    main(sys.argv[1:])
