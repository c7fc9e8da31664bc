"""Kill a run with SIGKILL at random moments. Each must resume to the same bits."""

import argparse
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import report
from rich.progress import track

GENERATIONS = 400
RUN = ("--generations", str(GENERATIONS), "--batch-size", "100", "--checkpoint-every", "7")


def evolve(run_dir: Path, encoding: str, *flags: str) -> subprocess.Popen:
    """Start a run of its own process group, its words kept out of ours."""
    command = [sys.executable, "-m", "qd_fool.cli", "evolve", "--encoding", encoding, *RUN, *flags]
    return subprocess.Popen(
        [*command, "--run-dir", str(run_dir)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def generations_logged(run_dir: Path) -> int:
    """The number of rows of `metrics.csv`."""
    metrics = run_dir / "metrics.csv"
    return max(metrics.read_text().count("\n") - 1, 0) if metrics.exists() else 0


def wait_for(process: subprocess.Popen, run_dir: Path, generations: int) -> None:
    """Wait until a number of generations are logged or the run is over."""
    while generations_logged(run_dir) < generations and process.poll() is None:
        time.sleep(0.002)


def finish(process: subprocess.Popen) -> str:
    """Wait for the end of a run. Returns its messages; raises if it failed."""
    _, words = process.communicate(timeout=600)
    if process.returncode:
        raise SystemExit(f"a run failed ({process.returncode}):\n{words.decode()}")
    return words.decode()


def same(a: Path, b: Path) -> bool:
    """Whether two runs have the same archive and lineage, bit for bit."""
    for name in ("archive.npz", "lineage.npz", "genomes.npz"):
        with np.load(a / name) as left, np.load(b / name) as right:
            if set(left.files) != set(right.files):
                return False
            if any(left[k].tobytes() != right[k].tobytes() for k in left.files):
                return False
    return True


def main() -> int:
    """Exit code 1 unless every resumed run equals the uninterrupted one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--encoding", default="direct")
    parser.add_argument("--table", default="check_faults", help="name of the table to write")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    arguments = parser.parse_args()
    moments = random.Random(arguments.seed)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "whole"
        finish(evolve(whole, arguments.encoding))
        for i in track(range(arguments.kills), description="kills"):
            run_dir = Path(folder) / f"killed-{i}"
            killed = False
            while not killed:  # a run that was over before its moment came is no kill
                shutil.rmtree(run_dir, ignore_errors=True)
                process = evolve(run_dir, arguments.encoding)
                wait_for(process, run_dir, moments.randrange(GENERATIONS))
                time.sleep(moments.uniform(0.0, 0.1))
                process.send_signal(signal.SIGKILL)
                process.communicate()
                killed = process.returncode == -signal.SIGKILL
            logged = generations_logged(run_dir)
            names = [p.name.split("_")[1] for p in run_dir.glob("checkpoints/generation_*")]
            saved = sorted(int(name) for name in names if name.isdigit())
            words = finish(evolve(run_dir, arguments.encoding, "--resume"))
            resumed = re.search(r"resuming after generation (\d+)", words)
            rows.append(
                {
                    "kill": i,
                    "generations logged": logged,
                    "newest checkpoint": saved[-1] if saved else "-",
                    "resumed after": int(resumed[1]) if resumed else "-",
                    "same bits": same(whole, run_dir),
                }
            )
            shutil.rmtree(run_dir)
    good = sum(row["same bits"] for row in rows)
    report(
        arguments.table,
        rows,
        words=f"A run of {GENERATIONS} generations, {arguments.encoding} encoding, killed with "
        f"SIGKILL, then resumed: {good} of {len(rows)} end in the archive, lineage and genomes of "
        "the uninterrupted run, bit for bit.",
    )
    return 0 if good == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
