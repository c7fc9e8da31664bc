"""One run in two processes on loopback against the same run in one process: bits, time, a death."""

import argparse
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from common import median_ratio, report
from trials import finish, generations_logged, same_run, start, wait_until

from qd_fool.runs.metrics import read_metrics


def main():
    """Alternate runs in one process and in two, then kill one of two."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="squeezenet1.1")
    parser.add_argument("--weights", help="weights for the model instead of its own")
    parser.add_argument("--encoding", default="cppn")
    parser.add_argument("--generations", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    words = ["evolve", "--model", arguments.model, "--encoding", arguments.encoding, "--crops", 1]
    words += ["--preset", "paper", "--generations", arguments.generations]
    words += ["--batch-size", arguments.batch_size, "--seed", 0]
    words += ["--weights", arguments.weights] if arguments.weights else []
    folder = Path(tempfile.mkdtemp(prefix="qd-fool-two-"))
    one, two, bound, same = [], [], [], []
    for i in range(arguments.rounds):
        single, pair, pinned = (folder / f"{name}-{i}" for name in ("one", "two", "bound"))
        finish(*words, "--devices", 2, "--run-dir", single)
        for process in together(*words, "--run-dir", pair):
            ended(process)
        for process in together(*words, "--run-dir", pinned, cores=(0, 1)):
            ended(process)
        one.append(seconds_of(single))
        two.append(seconds_of(pair))
        bound.append(seconds_of(pinned))
        same += [same_run(single, pair), same_run(single, pinned)]
    rows = [
        {
            "what": "archive, lineage and pictures of both",
            "found": f"{sum(same)} of {len(same)} same",
        },
        {"what": "s per generation in one process of two devices", "found": median(one)},
        {"what": "s per generation in two processes of one device", "found": median(two)},
        {"what": "the same, each process on a core of its own", "found": median(bound)},
        {"what": "one process ÷ two processes", "found": round(median_ratio(one, two), 3)},
        {
            "what": "one process ÷ two processes on cores of their own",
            "found": round(median_ratio(one, bound), 3),
        },
        *a_death(words, folder),
    ]
    shutil.rmtree(folder)
    report(
        "two_processes",
        rows,
        words=f"{arguments.model}, {arguments.encoding}, batch {arguments.batch_size}, one crop, "
        f"{arguments.generations} generations; interleaved rounds: {arguments.rounds}. Seconds are "
        "those after the first generation of `metrics.csv`, and the ratio is the median over "
        "rounds.",
    )


def a_death(words, folder):
    """Rows of what happens to process 0 when process 1 is killed, and of the run's end."""
    run_dir = folder / "killed"
    processes = together(*words, "--checkpoint-every", 4, "--run-dir", run_dir)
    wait_until(processes[0], lambda: generations_logged(run_dir) > 8)
    processes[1].kill()
    killed = time.monotonic()
    _, said = processes[0].communicate(timeout=300)
    seconds = time.monotonic() - killed
    code = processes[0].returncode
    sentence = " ".join(said.split()).split("qd-fool: ")[-1].split(" (")[0]  # without the details
    processes[1].wait()
    finish("evolve", "--run-dir", run_dir, "--resume", "--devices", 2)
    whole = same_run(folder / "one-0", run_dir)
    return [
        {"what": "s until process 0 ends after process 1 is killed", "found": round(seconds, 1)},
        {"what": "exit code of process 0, and its sentence", "found": f"{code}: {sentence}"},
        {"what": "resumed in one process to the same bits", "found": "yes" if whole else "no"},
    ]


def together(
    *words: object, cores: tuple[int | None, int | None] = (None, None)
) -> list[subprocess.Popen[str]]:
    """Two processes of one device each that run a command together, on all cores or on one each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = ("--devices", 1, "--coordinator", address, "--processes", 2, "--process-id")
    return [start(*words, *flags, i, core=core) for i, core in enumerate(cores)]


def ended(process: subprocess.Popen[str]) -> None:
    """Wait for the end of a process, which must be a good one."""
    _, said = process.communicate(timeout=3600)
    if process.returncode:
        raise SystemExit(said)


def seconds_of(run_dir: Path) -> float:
    """Seconds per generation after the first, without what came before it."""
    seconds = read_metrics(run_dir)["seconds"]
    return float(np.diff(seconds)[1:].mean())


def median(seconds: list[float]) -> float:
    """The median, for the table."""
    return round(statistics.median(seconds), 3)


if __name__ == "__main__":
    main()
