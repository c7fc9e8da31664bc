"""Feed changed files to every reader: only `UserError` may come out, within 10 s and little memory.

Files are changed at random: their bytes, and where that would only break a checksum, the values in
JSON, the arrays in npz, the members of zip. A changed file that reaches new lines of the readers is
kept and changed further. A finding is written to `tests/fixtures/fuzz/READER/`, which `make test`
reads. `fuzz.jsonl` gets a line per reader and call.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from common import HERE, machine
from fuzz_changes import change
from fuzz_readers import EXPECTED, FIXTURES, READERS, Reader

SECONDS = 10
"""Most seconds that a reader may take for a file."""

ROOM = 1 << 30
"""Most bytes of memory that the process may take beyond what it has at the start."""

FORBIDDEN = (
    "pickle.find_class",
    "os.system",
    "subprocess.Popen",
    "socket.connect",
    "shutil.rmtree",
)
"""Events of Python that no reader causes: code that runs, connections."""

PACKAGE = str(HERE.parent / "qd_fool")


class Coverage:
    """The lines of the package that ran. On Python 3.12 and later it costs little."""

    def __init__(self) -> None:
        self.lines: set[tuple[CodeType, int]] = set()
        self._monitoring: Any = getattr(sys, "monitoring", None)
        if self._monitoring is not None:
            events = self._monitoring.events
            self._monitoring.use_tool_id(1, "fuzz")
            self._monitoring.register_callback(1, events.LINE, self._line)
            self._monitoring.set_events(1, events.LINE)

    def _line(self, code: CodeType, line: int) -> object:
        if code.co_filename.startswith(PACKAGE):
            self.lines.add((code, line))
        return self._monitoring.DISABLE  # each line is reported once

    def _trace(self, frame: FrameType, event: str, _: object) -> object:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            self.lines.add((frame.f_code, frame.f_lineno))
        return self._trace

    def run(self, function: Callable[[], object]) -> int:
        """Call a function. Returns the number of lines that ran for the first time."""
        before = len(self.lines)
        if self._monitoring is None:
            sys.settrace(self._trace)
        try:
            function()
        finally:
            sys.settrace(None)
        return len(self.lines) - before


class Watch:
    """Whether a reader did something that none may do."""

    def __init__(self) -> None:
        self.on, self.seen = False, ""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.on and event in FORBIDDEN and "qd-fool-" not in str(arguments):
            self.seen = f"{event} {arguments!r}"[:200]


def finding_of(reader: Reader, path: Path, watch: Watch) -> str:
    """What is wrong with how a file is read, in words; empty if nothing is."""

    def late(*_: object) -> None:
        raise TimeoutError(f"more than {SECONDS} s")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    watch.on, watch.seen = True, ""
    try:
        reader.read(path)
    except EXPECTED:
        pass
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}:{last.lineno}"
        return f"{type(error).__name__} at {place}: {str(error)[:200]}"
    finally:
        signal.alarm(0)
        watch.on = False
    return watch.seen


def fuzz(name: str, *, seconds: float, seed: int, watch: Watch) -> dict[str, Any]:
    """Change files of a reader for some seconds. Returns figures; findings are written."""
    reader, moments, coverage = READERS[name], random.Random(seed), Coverage()
    kept = list(reader.seeds())
    findings: dict[str, bytes] = {}
    executions, deadline = 0, time.monotonic() + seconds
    with tempfile.TemporaryDirectory(prefix="qd-fool-fuzz-") as folder:
        path = Path(folder) / "run" / reader.name
        path.parent.mkdir()
        while time.monotonic() < deadline:
            data = moments.choice(kept)
            if executions >= len(kept):
                data = change(data, kept, reader.kind, moments)
            path.write_bytes(data)
            found = ""

            def once() -> None:
                nonlocal found
                found = finding_of(reader, path, watch)

            new = coverage.run(once)
            executions += 1
            if found:
                findings.setdefault(found.split(": ")[0], data)
            elif new and len(data) < 1 << 20:
                kept.append(data)
    for words, data in findings.items():
        place = FIXTURES / "fuzz" / name / hashlib.sha256(data).hexdigest()[:12]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        print(f"{name}: {words}: {place}", flush=True)
    return {
        "reader": name,
        "seconds": round(seconds),
        "executions": executions,
        "lines": len(coverage.lines),
        "kept": len(kept),
        "findings": sorted(findings),
        "seed": seed,
    }


def main() -> int:
    """Exit code 1 if there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="shared among the readers")
    parser.add_argument("--readers", nargs="+", default=list(READERS))
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = int.from_bytes(os.urandom(4), "big") if arguments.seed is None else arguments.seed
    for name in arguments.readers:  # whatever a reader imports is imported before memory is bounded
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / READERS[name].name
            path.write_bytes(READERS[name].seeds()[0])
            with contextlib.suppress(*EXPECTED):
                READERS[name].read(path)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, resource.getrlimit(resource.RLIMIT_AS)[1]))
    watch, bad = Watch(), 0
    for name in arguments.readers:
        seconds = arguments.minutes * 60 / len(arguments.readers)
        row = fuzz(name, seconds=seconds, seed=seed, watch=watch)
        bad += len(row["findings"])
        row["machine"] = machine()
        print(json.dumps(row), flush=True)
        with (HERE / "fuzz.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
