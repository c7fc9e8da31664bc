"""Shared parts of the benchmarks: interleaved timing, the machine's name, tables."""

import datetime
import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

HERE = Path(__file__).parent


def machine() -> str:
    """Processor, cores and versions, in one line."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            x.split(":")[1].strip() for x in info.read_text().splitlines() if "model name" in x
        ]
        name = models[0] if models else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, Python {platform.python_version()}, jax {jax.__version__}"


def interleaved(runs: Mapping[str, Callable[[], Any]], *, rounds: int) -> dict[str, list[float]]:
    """The seconds of each run, `rounds` times. Runs take turns, so noise affects all equally."""
    for run in runs.values():
        jax.block_until_ready(run())
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            jax.block_until_ready(run())
            seconds[name].append(time.perf_counter() - started)
    return seconds


def finished(run_dir: Path) -> bool:
    """Whether the run in a directory is finished."""
    run = run_dir / "run.json"
    return run.exists() and json.loads(run.read_text(encoding="utf-8"))["status"] == "finished"


def first(passed: np.ndarray) -> int | str:
    """The first generation at which a condition holds; "-" if there is none."""
    return int(np.argmax(passed)) if passed.any() else "-"


def median_ratio(a: Sequence[float], b: Sequence[float]) -> float:
    """The median over rounds of a / b, where each pair was measured in one round."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def report(name: str, rows: Sequence[Mapping[str, Any]], *, words: str) -> None:
    """Print one JSON line per row, and write `benchmarks/<name>.md` with command, machine, date."""
    for row in rows:
        print(json.dumps({"benchmark": name, **row}))
    columns = list(rows[0])
    lines = [
        f"# {name}",
        "",
        words,
        "",
        f"`{shlex.join(['python', f'benchmarks/{Path(sys.argv[0]).name}', *sys.argv[1:]])}`  ",
        f"{machine()}; {datetime.date.today().isoformat()}",
        "",
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(str(row[c]) for c in columns) + " |" for row in rows),
        "",
    ]
    (HERE / f"{name}.md").write_text("\n".join(lines), encoding="utf-8")
