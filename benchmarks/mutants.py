"""Count how many of 100 small faults in the core the tests find.

A mutant is a copy of the package with one fault: `<` becomes `<=`, `+` becomes `-`, a constant
changes by one, a `not` is dropped, `min` becomes `max`, `where(c, a, b)` becomes `a`, and so on.
There are ten mutants in each of ten parts of the core; `mutation.py` says how they are chosen.

    python benchmarks/mutants.py --checkout . --out mutants.jsonl
    python benchmarks/mutants.py --compare before.jsonl after.jsonl

Each mutant is one line of the output: its definition, the change, and "killed", "survived" or
"timeout". Lines that are there already are not repeated. The tests of a part are those that
`mutation.py` names and those that import a module of the part, without the tests of whole commands.
They run once without a fault first. `--everything` shows survivors to all other tests as well.
`--survivors-of FILE` runs only the mutants that survived there and that this checkout has as well:
all that another checkout found need no run to show that it finds no fewer.
"""

import argparse
import ast
import collections
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mutation import EACH, PARTS, TESTS, Part, choose, find, mutants_of, with_fault

SLOW = {"experiments", "commands", "report", "test_docs.py", "test_imagenet.py"}
"""Tests of whole commands, pages and large networks: only `--everything` runs them."""


def imports_of(path: Path) -> set[str]:
    """Dotted names that a test file imports, from modules or as modules."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def tests_of(checkout: Path, part: Part) -> list[str]:
    """Test files of a part: those of its patterns, then those that import one of its modules."""
    tests = checkout / TESTS
    found = [path for pattern in part.tests.split() for path in sorted(tests.glob(pattern))]
    places = [find(checkout, wanted) for wanted in part.definitions.split()]
    modules = {place[0].removesuffix(".py").replace("/", ".") for place in places if place}
    importing = [p for p in sorted(tests.rglob("test_*.py")) if imports_of(p) & modules]
    quick = [path for path in importing if not set(path.relative_to(tests).parts) & SLOW]
    return [str(path.relative_to(checkout)) for path in dict.fromkeys(found + quick)]


def run_tests(copied: Path, tests: list[str], limit: float) -> tuple[str, str, float]:
    """Run test files until one fails.

    Args:
      copied: Copy of the checkout.
      tests: Test files, in order.
      limit: Limit in seconds of processor time, which does not depend on other work.

    Returns:
      The outcome, the test that failed, and seconds of processor time.
    """
    # `-m pytest` and PYTHONPATH make the copy win over an installed package.
    paths = os.pathsep.join([str(copied), str(copied / TESTS)])
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    before = processor_seconds()
    process = subprocess.Popen(
        command,
        cwd=copied,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    resource.prlimit(process.pid, resource.RLIMIT_CPU, (int(limit), int(limit) + 5))
    try:
        said, _ = process.communicate(timeout=60 * limit)
    except subprocess.TimeoutExpired:  # the process waits without using the processor
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "timeout", "", processor_seconds() - before
    seconds = processor_seconds() - before
    if process.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return "timeout", "", seconds
    if process.returncode in (4, 5):
        sys.exit(f"pytest found no tests to run:\n{said[-3000:]}")
    if not process.returncode:
        return "survived", "", seconds
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", said, re.MULTILINE)
    return "killed", failed[1] if failed else said[-300:], seconds


def processor_seconds() -> float:
    """Processor time of all processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def replace_file(path: Path, content: bytes) -> None:
    """Write a module so that Python compiles it again, even within the same second."""
    path.write_bytes(content)
    replace_file.clock += 10  # type: ignore[attr-defined]
    os.utime(path, (replace_file.clock, replace_file.clock))  # type: ignore[attr-defined]


replace_file.clock = int(time.time())  # type: ignore[attr-defined]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The outcomes so far."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def run_part(
    name: str,
    checkout: Path,
    copied: Path,
    out: Path,
    *,
    everything: bool,
    most: int,
    elsewhere: set[str] | None,
) -> None:
    """Run the mutants of a part that have no outcome yet, or all tests on its survivors."""
    part = PARTS[name]
    outcomes = {line["mutant"]: line for line in read_lines(out)}
    tests = tests_of(checkout, part)
    if elsewhere is None:
        mutants = choose(checkout, part)[:most]
    else:
        definitions = dict.fromkeys(part.definitions.split())
        every_mutant = (m for wanted in definitions for m in mutants_of(checkout, wanted))
        mutants = [m for m in every_mutant if m.name in elsewhere]
    if everything:
        mutants = [m for m in mutants if outcomes.get(m.name, {}).get("outcome") == "survived"]
        every = (str(p.relative_to(checkout)) for p in (checkout / TESTS).rglob("test_*.py"))
        tests = sorted(set(every) - set(tests) - {"tests/test_notebooks.py"})
    else:
        mutants = [m for m in mutants if m.name not in outcomes]
    if not mutants:
        return
    print(f"{name}: {len(mutants)} mutants, {' '.join(tests)}", flush=True)
    limit = 3000.0
    if not everything:
        outcome, by, base = run_tests(copied, tests, 3000)
        if outcome != "survived":
            sys.exit(f"{name}: the tests fail without a fault ({outcome}): {by}")
        print(f"    no fault: {base:.0f} s of processor time", flush=True)
        limit = 3 * base + 30
    for mutant in mutants:
        path = copied / mutant.path
        source = path.read_bytes()
        replace_file(path, with_fault(source, mutant))
        try:
            outcome, by, seconds = run_tests(copied, tests, limit)
        finally:
            replace_file(path, source)
        if everything and outcome == "killed":
            # These tests did not run without a fault before.
            alone = run_tests(copied, [by.partition("::")[0]], limit)
            if alone[0] != "survived":
                sys.exit(f"{by} fails without a fault: {alone[1]}")
        line = {"part": name, "mutant": mutant.name, "line": mutant.node.lineno}
        line |= {"path": mutant.path, "outcome": outcome, "by": by, "seconds": round(seconds, 1)}
        line |= {"everything": everything}
        with out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(f"    {outcome:9}{seconds:6.0f} s  {mutant.name}", flush=True)


def compare(paths: list[Path]) -> int:
    """Print outcomes of each part in each file; exit code 1 if the last one has fewer found."""
    files = [{line["mutant"]: line for line in read_lines(path)} for path in paths]
    found = []
    print("| part | " + " | ".join(path.stem for path in paths) + " |")
    print("|---|" + "---|" * len(paths))
    for part in [*PARTS, "all"]:
        cells = []
        for lines in files:
            chosen = [line for line in lines.values() if part in ("all", line["part"])]
            count = collections.Counter(line["outcome"] for line in chosen)
            cells.append(f"{count['killed'] + count['timeout']} of {len(chosen)}")
        print(f"| {part} | " + " | ".join(cells) + " |")
    for lines in files:
        found.append(sum(line["outcome"] != "survived" for line in lines.values()))
    for path, lines in zip(paths, files, strict=True):
        for name, line in lines.items():
            if line["outcome"] == "survived":
                print(f"survived in {path.stem}: {line['path']}: {name}")
    return 1 if found[-1] < found[0] else 0


def main() -> int:
    """Run the mutants of a checkout, or compare files of outcomes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkout", type=Path, default=Path(), help="it is copied, not changed")
    parser.add_argument("--out", type=Path, help="file of outcomes, which is continued")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--most", type=int, default=EACH, help="mutants per part")
    parser.add_argument("--list", action="store_true", help="print mutants and tests, run nothing")
    parser.add_argument("--everything", action="store_true", help="all tests, on survivors")
    parser.add_argument("--survivors-of", type=Path, metavar="FILE", help="only these mutants")
    parser.add_argument("--compare", nargs="+", type=Path, metavar="FILE", help="count outcomes")
    arguments = parser.parse_args()
    if arguments.compare:
        return compare(arguments.compare)
    checkout = arguments.checkout.resolve()
    if arguments.list:
        for name in arguments.parts:
            print(f"{name}: {' '.join(tests_of(checkout, PARTS[name]))}")
            for mutant in choose(checkout, PARTS[name]):
                with_fault((checkout / mutant.path).read_bytes(), mutant)
                print(f"    {mutant.path}:{mutant.node.lineno} {mutant.name}")
        return 0
    if arguments.out is None:
        parser.error("--out is missing")
    elsewhere = None
    if arguments.survivors_of:
        outcomes = {line["mutant"]: line["outcome"] for line in read_lines(arguments.survivors_of)}
        elsewhere = {name for name, outcome in outcomes.items() if outcome == "survived"}
    with tempfile.TemporaryDirectory() as temporary:
        copied = Path(temporary) / "checkout"
        shutil.copytree(
            checkout,
            copied,
            ignore=shutil.ignore_patterns(".git", ".venv", ".*_cache", "__pycache__", "build"),
        )
        for name in arguments.parts:
            run_part(
                name,
                checkout,
                copied,
                arguments.out,
                everything=arguments.everything,
                most=arguments.most,
                elsewhere=elsewhere,
            )
    return compare([arguments.out])


if __name__ == "__main__":
    sys.exit(main())
