"""Polish CPPN elites in pixel space: the effect of a few gradient steps on an archive.

The polished pictures are no longer drawn by CPPNs.
"""

import argparse
import csv
import json
from pathlib import Path

from common import finished, report

from qd_fool.cli import main as qd_fool


def run(words):
    """Run a command, unless its directory is finished."""
    run_dir = Path(words[words.index("--run-dir") + 1])
    if finished(run_dir):
        return run_dir
    if run_dir.exists():
        words = [*words, "--resume"]
    if qd_fool(words) != 0:
        raise SystemExit(f"failed: qd-fool {' '.join(words)}")
    return run_dir


def metrics(run_dir):
    """The rows of `metrics.csv`, as numbers."""
    with (run_dir / "metrics.csv").open(newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def main():
    """Evolve, polish, and write one row per iteration."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="squeezenet1.1")
    parser.add_argument("--weights", type=Path)
    parser.add_argument(
        "--generations",
        type=int,
        default=124,
        help="generations of 80; the default is 10,000 evaluations",
    )
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--runs", type=Path, default=Path("build/polish"))
    arguments = parser.parse_args()
    weights = ["--weights", str(arguments.weights)] if arguments.weights else []
    source = run(
        ["evolve", "--model", arguments.model, *weights, "--encoding", "cppn", "--preset", "fast",
         "--generations", str(arguments.generations), "--run-dir", str(arguments.runs / "cppn")]
    )  # fmt: skip
    polished = run(
        ["ascend", "--from", str(source), "--iterations", str(arguments.iterations),
         "--run-dir", str(arguments.runs / "polished")]
    )  # fmt: skip
    before = metrics(source)[-1]
    facts = json.loads((polished / "run.json").read_text(encoding="utf-8"))
    rows = [
        {
            "iteration": int(row["generation"]),
            "counted evaluations": int(row["evaluations"]),
            "median": round(row["median_confidence"], 5),
            "mean": round(row["mean_confidence"], 5),
            "cells >= .99": int(row["cells_over_99"]),
        }
        for row in metrics(polished)
    ]
    report(
        "polish",
        rows,
        words=f"{arguments.model}: a CPPN archive of preset fast after "
        f"{before['evaluations']:,.0f} evaluations (median {before['median_confidence']:.3f}). Its "
        "elites then climb in pixel space by Adam on the log-odds, each toward its class. Figures "
        "are those of the best 8-bit picture so far; counted evaluations are those of the "
        "polishing alone. PNGs scored again differ by at most "
        f"{facts['png_rescored_max_difference']:.1g}.",
    )


if __name__ == "__main__":
    main()
