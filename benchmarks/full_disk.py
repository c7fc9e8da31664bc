"""Fill a disk at 40 sizes while runs write to it. Each must end in one sentence, and resume.

The disk is a file system in memory, which only root can mount (Linux). Each size is a run of the
command, a resume with more room, and a comparison with a run that had room from the start.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
from common import report
from trials import Row, finish, same_run, sentences, start, trials

SIZES = [round(float(s)) for s in np.geomspace(50, 8000, 40)]
"""Sizes in kB."""

ROOM = "256m"
"""Size of the disk for the resume."""

RUNS = {
    "direct": ("evolve", "--generations", 100, "--batch-size", 50, "--checkpoint-every", 10,
               "--chunk", 10, "--keep-genomes", "all"),
    "cppn": ("evolve", "--encoding", "cppn", "--generations", 60, "--batch-size", 50,
             "--checkpoint-every", 10, "--chunk", 10, "--keep-genomes", "all"),
    "ascent": ("ascend", "--start", "uniform", "--starts", 40, "--iterations", 60, "--chunk", 5,
               "--block", 50),
}  # fmt: skip
"""A kind of run per size, in turns."""


def mount(folder: Path, size: str, *options: str) -> None:
    """Make a disk of a size, or change its size."""
    words = ["mount", "-t", "tmpfs", "-o", ",".join((*options, f"size={size}"))]
    subprocess.run([*words, "tmpfs", str(folder)], check=True)


def main() -> int:
    """Exit code 1 unless each run ends in one sentence, and resumes to the same bits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=len(SIZES), help="number of sizes")
    arguments = parser.parse_args()
    whole: dict[str, Path] = {}

    def measure(trial: Row, folder: Path) -> Row:
        words = RUNS[trial["run"]]
        if trial["run"] not in whole:
            whole[trial["run"]] = folder.with_name(f"qd-fool-whole-{trial['run']}")
            if not (whole[trial["run"]] / "report.html").exists():
                finish(*words, "--run-dir", whole[trial["run"]])
        mount(folder, f"{trial['kB']}k")
        try:
            run = folder / "run"
            process = start(*words, "--run-dir", run)
            _, said = process.communicate(timeout=600)
            left = [p.name for p in run.rglob("*") if "partial" in p.name or "-tmp" in p.name]
            mount(folder, ROOM, "remount")
            again = ""
            if process.returncode:
                again = finish(*words, "--run-dir", run, "--resume")
            return {
                "exit code": process.returncode,
                "sentences": sentences(said),
                "tracebacks": said.count("Traceback"),
                "left behind": len(left),
                "file": said.split("qd-fool: ")[-1].split(": ")[0].rsplit("/", 1)[-1]
                if process.returncode
                else "-",
                "resumed": next((x for x in again.splitlines() if x.startswith("resum")), "-"),
                "same bits": same_run(whole[trial["run"]], run),
            }
        finally:
            subprocess.run(["umount", str(folder)], check=True)  # noqa: S607

    names = list(RUNS)
    wanted = [{"kB": size, "run": names[i % 3]} for i, size in enumerate(SIZES[: arguments.most])]
    rows = trials("full_disk", wanted, measure, keys=("kB", "run"))

    def good(row: Row) -> bool:
        ended = (row["exit code"], row["sentences"]) in ((2, 1), (0, 0))
        return ended and not row["tracebacks"] and not row["left behind"] and row["same bits"]

    right = sum(map(good, rows))
    full = sum(row["exit code"] == 2 for row in rows)
    report(
        "full_disk",
        [{k: v for k, v in row.items() if k != "machine"} for row in rows],
        words=f"Runs on disks of 50 kB to 8 MB: {full} of {len(rows)} disks became full. {right} "
        f"of {len(rows)} runs ended in one sentence or wrote all files, left no half-written file, "
        "and have the bits of a run with room, after a resume where the disk was full.",
    )
    return 0 if right == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
