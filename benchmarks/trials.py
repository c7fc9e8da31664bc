"""Shared parts of the benchmarks that stop runs: processes, comparisons, a line per trial."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, machine

Row = dict[str, Any]


def command(*words: object) -> list[str]:
    """The words of a process that runs the command."""
    return [sys.executable, "-m", "qd_fool", *map(str, words)]


def start(*words: object, core: int | None = None) -> subprocess.Popen[str]:
    """Start the command, with its messages in a pipe, on one core or on all."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}

    def as_usual() -> None:
        """Take SIGHUP, which `nohup` would have the command ignore; keep to a core."""
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        if core is not None:
            os.sched_setaffinity(0, {core})

    return subprocess.Popen(
        command(*words),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=as_usual,  # no threads take part
    )


def finish(*words: object, expected: Iterable[int] = (0,)) -> str:
    """Run the command to its end. Returns its messages; raises if its exit code is another."""
    process = start(*words)
    _, said = process.communicate(timeout=3600)
    if process.returncode not in expected:
        raise SystemExit(f"exit code {process.returncode}: {words}\n{said}")
    return said


def same_arrays(a: Path, b: Path, names: Sequence[str]) -> bool:
    """Whether two directories hold the same arrays in files of these names, bit for bit."""
    for name in names:
        if (a / name).exists() != (b / name).exists():
            return False
        if not (a / name).exists():
            continue
        with np.load(a / name) as left, np.load(b / name) as right:
            if set(left.files) != set(right.files):
                return False
            if any(left[k].tobytes() != right[k].tobytes() for k in left.files):
                return False
    return True


def same_files(a: Path, b: Path, pattern: str) -> bool:
    """Whether two directories hold the same files of a pattern, byte for byte."""
    left, right = (
        {p.relative_to(root): p.read_bytes() for p in root.glob(pattern)} for root in (a, b)
    )
    return left == right


RUN = ("archive.npz", "lineage.npz", "genomes.npz", "ascent.npz")


def same_run(a: Path, b: Path) -> bool:
    """Whether two runs have the same archive, logs and pictures."""
    return same_arrays(a, b, RUN) and same_files(a, b, "elites/*.png")


def generations_logged(run_dir: Path) -> int:
    """The number of rows of `metrics.csv`."""
    metrics = run_dir / "metrics.csv"
    return max(metrics.read_text().count("\n") - 1, 0) if metrics.exists() else 0


def sentences(said: str) -> int:
    """The number of lines that the door has printed about an error."""
    return len(re.findall(r"^qd-fool: ", said, re.MULTILINE))


def trials(
    name: str, wanted: Sequence[Row], measure: Callable[[Row, Path], Row], *, keys: Sequence[str]
) -> list[Row]:
    """Measure the trials that `NAME.jsonl` does not hold yet; a line each, so that they add up.

    Args:
      name: Name of the file in the folder of the benchmarks.
      wanted: What each trial is.
      measure: Function of a trial and an empty folder, which returns its result.
      keys: Names that tell one trial from another.
    """
    path = HERE / f"{name}.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    done = {tuple(row[key] for key in keys) for row in rows}
    for trial in wanted:
        if tuple(trial[key] for key in keys) in done:
            continue
        folder = Path(tempfile.mkdtemp(prefix="qd-fool-trial-"))
        try:
            row = trial | measure(trial, folder) | {"machine": machine()}
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        rows.append(row)
        with path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps(row), flush=True)
    return rows


def wait_until(process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    """Wait until something is so, or the process has ended."""
    while not ready() and process.poll() is None:
        time.sleep(0.002)
