"""Kill runs of every kind with SIGKILL at random moments. Each must resume to the same bits.

Half of the runs are killed once more while they resume. `kills.jsonl` gets a line per run, and the
same command again continues.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

from common import HERE, report
from trials import Row, finish, same_arrays, same_files, same_run, start, trials

NETWORK = """
import numpy as np

WEIGHTS = np.random.default_rng(0).normal(size=(784, 10)).astype(np.float32)

def predict(x):
    return x.reshape(len(x), -1) / np.float32(256) @ WEIGHTS
"""
"""A network that is not JAX."""

SMALL = ("--batch-size", 50, "--chunk", 10, "--checkpoint-every", 7)
KINDS: dict[str, tuple[object, ...]] = {
    "direct": ("evolve", "--generations", 300, *SMALL),
    "cppn": ("evolve", "--encoding", "cppn", "--generations", 150, *SMALL),
    "ascent": ("ascend", "--start", "uniform", "--starts", 30, "--iterations", 150, "--chunk", 5,
               "--block", 20),
    "retraining": ("retrain", "--rounds", 2, "--seeds", 4, "--held-out-seeds", 1, "--encoding",
                   "direct", "--evaluations", 600),
    "foreign": ("evolve", "--model", "python:NETWORK:predict", "--input-size", 28, "--channels",
                "gray", "--labels", "LABELS", "--generations", 300, *SMALL),
    "audit": ("audit", "--budget", 3000),
}  # fmt: skip
"""The command of each kind of run."""


def words_of(kind: str, folder: Path) -> list[object]:
    """The words of a kind, with the files that its network needs."""
    if kind != "foreign":
        return list(KINDS[kind])
    network, labels = folder / "killed_by_a_benchmark.py", folder / "labels.txt"
    network.write_text(NETWORK)
    labels.write_text("".join(f"{k}\n" for k in range(10)))
    return [str(w).replace("NETWORK", str(network)).replace("LABELS", str(labels))
            for w in KINDS[kind]]  # fmt: skip


def place(kind: str) -> str:
    """The flag for the directory. An audit continues with the same command."""
    return "--out" if kind == "audit" else "--run-dir"


def same(kind: str, a: Path, b: Path) -> bool:
    """Whether two runs of a kind have the same results, bit for bit."""
    if kind == "audit":
        runs = [path.name for path in a.iterdir() if (path / "run.json").exists()]
        report = all(same_files(a, b, name) for name in ("audit.json", "audit.md", "figures/*"))
        return report and all(same_run(a / name, b / name) for name in runs)
    if kind != "retraining":
        return same_run(a, b)
    rounds = [f"round_{i:02d}/images.npz" for i in (1, 2)]
    networks = same_files(a, b, "round_*/network.safetensors")
    return networks and same_arrays(a, b, rounds) and rows_of(a) == rows_of(b)


def rows_of(run_dir: Path) -> list[Row]:
    """The rows of a retraining's rounds, without what a clock has measured."""
    rows = [json.loads(path.read_text()) for path in sorted(run_dir.glob("round_*/row.json"))]
    return [{k: v for k, v in row.items() if not k.endswith("_seconds")} for row in rows]


def kill(words: list[object], after: float) -> bool:
    """Start a command and kill it after some seconds; False if it was over before."""
    process = start(*words)
    deadline = time.monotonic() + after
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return process.returncode == -signal.SIGKILL


def main() -> int:
    """Exit code 1 unless every run resumes to the bits of an uninterrupted one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="runs per kind")
    parser.add_argument("--kinds", nargs="+", default=list(KINDS))
    arguments = parser.parse_args()
    whole: dict[str, tuple[Path, float]] = {}

    def uninterrupted(kind: str, folder: Path) -> tuple[Path, float]:
        if kind not in whole:
            path = folder.with_name(f"qd-fool-killed-{kind}")
            shutil.rmtree(path, ignore_errors=True)
            began = time.monotonic()
            finish(*words_of(kind, folder), place(kind), path)
            whole[kind] = path, time.monotonic() - began
        return whole[kind]

    def measure(trial: Row, folder: Path) -> Row:
        kind, moments = trial["kind"], random.Random(f"{trial['kind']} {trial['trial']}")
        path, seconds = uninterrupted(kind, folder)
        run = folder / "run"
        words = [*words_of(kind, folder), place(kind), run]
        again = words if kind == "audit" else [*words, "--resume"]
        twice, first, second = trial["trial"] % 2 == 1, 0.0, 0.0
        while True:  # until no command was over before it was to be killed
            shutil.rmtree(run, ignore_errors=True)
            first = moments.uniform(0, seconds)
            if not kill(words, first):
                continue
            if not twice:
                break
            # A resumed run needs its start again, and what was not saved.
            second = moments.uniform(0, seconds - first / 2)
            if kill(again, second):
                break
        finish(*again, expected=(0, 2))  # 2: it is finished, and there is nothing to continue
        return {
            "seconds": round(first, 2),
            "second kill": round(second, 2) if second else "-",
            "same bits": same(kind, path, run),
        }

    wanted: list[Row] = [
        {"kind": kind, "trial": i} for i in range(arguments.kills) for kind in arguments.kinds
    ]
    rows = trials("kills", wanted, measure, keys=("kind", "trial"))
    good = Counter(row["kind"] for row in rows if row["same bits"])
    every = Counter(row["kind"] for row in rows)
    twice = Counter(row["kind"] for row in rows if row["second kill"] != "-")
    table = [
        {"kind": k, "runs": every[k], "killed twice": twice[k], "same bits": good[k]} for k in every
    ]
    report(
        "kills",
        table,
        words=f"{len(rows)} runs were killed with SIGKILL at a random moment between their start "
        f"and their end, {sum(twice.values())} of them once more while they resumed: "
        f"{sum(good.values())} end with the bits of an uninterrupted run. Each run is a line of "
        f"`{(HERE / 'kills.jsonl').name}`.",
    )
    return 0 if sum(good.values()) == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
