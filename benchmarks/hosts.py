"""The tests under other conditions of a machine, one factor at a time; a row of a table for each.

`hosts.jsonl` gets a line per row, and the same command again continues. The factors are the
instruction set that XLA compiles for, NumPy's dispatch, the number of cores, and with --python and
--label the interpreter: one of another version of Python, or with `constraints-floor.txt`.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence

from common import HERE, machine, report
from numpy._core._multiarray_umath import __cpu_dispatch__

REPOSITORY = HERE.parent
CORE = (
    "tests/test_archive.py", "tests/test_files.py", "tests/test_registry.py", "tests/devices",
    "tests/encodings/test_color.py", "tests/encodings/cppn/test_graph_json.py",
    "tests/encodings/cppn/test_activations.py", "tests/scoring/test_check_scorer.py",
    "tests/models/readers", "tests/runs", "tests/judge/test_statistics.py",
    "tests/commands/evolve/test_start.py", "tests/commands/evolve/test_circumstances.py",
)  # fmt: skip
"""The marked core: every kind of result, and each reader."""

# Groups of instructions that NumPy chooses from when it is imported; their names change.
DISPATCHED = tuple(__cpu_dispatch__)
AVX512 = tuple(name for name in DISPATCHED if name.startswith(("AVX512", "X86_V4")))
HOSTS: dict[str, dict[str, str]] = {
    "as it is": {},
    "XLA: SSE4.2": {"XLA_FLAGS": "--xla_cpu_max_isa=SSE4_2"},
    "XLA: AVX2": {"XLA_FLAGS": "--xla_cpu_max_isa=AVX2"},
    "XLA: AVX-512": {"XLA_FLAGS": "--xla_cpu_max_isa=AVX512"},
    "NumPy without AVX-512": {"NPY_DISABLE_CPU_FEATURES": " ".join(AVX512)},
    "NumPy without dispatch": {"NPY_DISABLE_CPU_FEATURES": " ".join(DISPATCHED)},
    "one core": {"HOSTS_CORES": "1"},
}
"""Environment of each row."""


def run(python: str, environment: dict[str, str], paths: Sequence[str]) -> dict[str, object]:
    """Run the tests once. Returns how many passed and failed, and the seconds."""
    one = ["taskset", "-c", "0"] if environment.get("HOSTS_CORES") == "1" else []
    began = time.monotonic()
    found = subprocess.run(
        [*one, python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *paths],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, **environment, "PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'tests'}"},
        check=False,
    )
    counts = {k: int(n) for n, k in re.findall(r"(\d+) (passed|failed|error)", found.stdout)}
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", found.stdout, re.MULTILINE)
    return {
        "passed": counts.get("passed", 0),
        "failed": counts.get("failed", 0) + counts.get("error", 0),
        "seconds": round(time.monotonic() - began),
        "which failed": failed,
        "exit code": found.returncode,
    }


def main() -> int:
    """Exit code 1 unless all tests pass in every row."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", nargs="+", default=list(HOSTS), choices=list(HOSTS))
    parser.add_argument("--python", default=sys.executable, help="another interpreter, for one row")
    parser.add_argument("--label", default=None, help="name of the row of that interpreter")
    parser.add_argument("--whole", action="store_true", help="all tests instead of the core")
    arguments = parser.parse_args()
    path, paths = HERE / "hosts.jsonl", ["tests"] if arguments.whole else list(CORE)
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    names = arguments.hosts if arguments.label is None else [arguments.label]
    tests = "all" if arguments.whole else "core"
    for name in names:
        if any((row["host"], row["tests"]) == (name, tests) for row in rows):
            continue
        figures = run(arguments.python, HOSTS.get(name, {}), paths)
        row = {"host": name, "tests": tests, **figures, "machine": machine()}
        rows.append(row)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
    shown = ("host", "tests", "passed", "failed", "seconds")
    report(
        "hosts",
        [{name: row[name] for name in shown} for row in rows],
        words="The tests, with one condition of the machine changed at a time. `core` is the list "
        "at the head of `hosts.py`. Other work ran beside some rows, so seconds do not compare.",
    )
    return int(any(row["exit code"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
