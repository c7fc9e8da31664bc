"""Check that two checkouts of this project give the same bits.

Twelve `qd-fool` commands with small budgets run on the first checkout and then on the second one.
They cover both encodings on LeNet and EfficientNet-Lite0, each emitter, a joint run, a run that is
stopped and resumed, ascents of pixels and of CPPNs, and two rounds of retraining. Every array,
picture, table and weights file that the runs leave is compared bit for bit. Run times are left out.
The exit code is 1 if anything differs.

    python benchmarks/same_bits.py --before ../base --after . --keep DIR

`--keep` stores the runs of the first checkout, so that a second call runs the other side only.
Without `--after` the runs are stored and nothing is compared. Retraining needs MNIST, which
`TFDS_DATA_DIR` has to name.
"""

import argparse
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

LENET = "evolve --model lenet --devices 2"
LITE0 = "evolve --model efficientnet-lite0 --batch-size 40 --devices 2"
ASCEND = "ascend --model lenet --iterations 30 --devices 2"
MIX = "--emitters variation:3,gradient:1 --gradient-steps 3 --chunk 20"

# Each run is one command, or several commands that continue the same directory.
RUNS = {
    "direct, LeNet": (f"{LENET} --encoding direct --generations 40",),
    "CPPN, LeNet": (f"{LENET} --encoding cppn --generations 30 --keep-genomes all",),
    "direct, Lite0": (f"{LITE0} --encoding direct --generations 2 --color hsv",),
    "CPPN, Lite0": (f"{LITE0} --encoding cppn --generations 2",),
    "young parents, CPPN, resumed": (
        f"{LENET} --encoding cppn --parents young --crossover-rate 0.3 --generations 9",
        "evolve --resume --generations 20",
    ),
    "gradient, direct": (f"{LENET} --emitters gradient --genes float --generations 8 --seed 1",),
    "mix, direct": (f"{LENET} {MIX} --encoding direct --generations 12",),
    "mix, CPPN": (f"{LENET} {MIX} --encoding cppn --generations 10 --seed 2",),
    "joint, argmax": (f"{LENET} --model lenet-b --archive-rule argmax --generations 20",),
    "ascent, pixels": (
        f"{ASCEND} --preset paper --starts 2 --decay 0.01 --blur 0.5 --blur-every 4 "
        "--small-norms 5",
    ),
    "ascent, CPPN": (f"{ASCEND} --parametrization cppn",),
    "retraining, 2 rounds": ("retrain --rounds 2 --seeds 2 --held-out-seeds 1 --evaluations 1000",),
}


def folder_name(name: str) -> str:
    """The directory of a run, without spaces."""
    return name.replace(", ", "_").replace(" ", "-")


def commit_of(checkout: Path) -> str:
    """The commit of a checkout, with a mark where files of the package differ from it."""

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", checkout, *words],  # noqa: S607
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "qd_fool")
    return git("rev-parse", "HEAD") + ("-changed" if changed else "")


def environment(checkout: Path) -> dict[str, str]:
    """Variables that make `import qd_fool` find this checkout before any installed package."""
    return {**os.environ, "PYTHONPATH": str(checkout), "JAX_PLATFORMS": "cpu"}


def check_import(checkout: Path) -> None:
    """Exit where another copy of the package would be imported."""
    words = [sys.executable, "-c", "import qd_fool; print(qd_fool.__file__)"]
    done = subprocess.run(
        words, cwd=checkout, env=environment(checkout), capture_output=True, text=True, check=True
    )
    found = Path(done.stdout.strip()).resolve()
    if found != (checkout / "qd_fool" / "__init__.py").resolve():
        sys.exit(f"{checkout}: Python imports {found} instead of this checkout")


def record(name: str, checkout: Path, folder: Path, commit: str) -> float:
    """Run the commands of one entry into a folder; one that is complete there is not repeated.

    Returns:
      The seconds that the commands took.
    """
    run_dir = folder / folder_name(name)
    marker = run_dir.with_suffix(".json")
    wanted = {"commit": commit, "commands": list(RUNS[name])}
    if marker.exists():
        note = json.loads(marker.read_text(encoding="utf-8"))
        if {key: note[key] for key in wanted} == wanted and not commit.endswith("-changed"):
            return note["seconds"]
    marker.unlink(missing_ok=True)
    shutil.rmtree(run_dir, ignore_errors=True)
    started = time.perf_counter()
    for words in RUNS[name]:
        command = [sys.executable, "-m", "qd_fool.cli", *words.split(), "--run-dir", str(run_dir)]
        done = subprocess.run(
            command, cwd=checkout, env=environment(checkout), capture_output=True, text=True
        )
        if done.returncode:
            said = (done.stdout + done.stderr)[-3000:]
            sys.exit(f"{checkout}: `{words}` failed ({done.returncode}):\n{said}")
    seconds = round(time.perf_counter() - started, 1)
    marker.write_text(json.dumps(wanted | {"seconds": seconds}), encoding="utf-8")
    return seconds


def table_without_seconds(rows: list[dict[str, object]]) -> bytes:
    """Rows of a table without the columns that hold run times."""
    kept = [{key: row[key] for key in row if "seconds" not in key} for row in rows]
    return json.dumps(kept).encode()


def contents(run_dir: Path) -> dict[str, bytes]:
    """The contents of a run directory that must be equal, as bytes by name.

    Each array of a `.npz` file is an entry, with its type and shape before its bytes.
    """
    found: dict[str, bytes] = {}
    for path in sorted(run_dir.rglob("*")):
        inside = path.relative_to(run_dir)
        if not path.is_file() or "checkpoints" in inside.parts:
            continue
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                for key in file.files:
                    array = file[key]
                    kind = f"{array.dtype.str} {array.shape} ".encode()
                    found[f"{inside}: {key}"] = kind + array.tobytes()
        elif path.suffix == ".csv":
            rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
            found[str(inside)] = table_without_seconds(list(rows))
        elif path.name == "table.json":
            rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
            found[str(inside)] = table_without_seconds(rows)
        elif path.suffix == ".safetensors" or (path.suffix == ".png" and len(inside.parts) > 1):
            found[str(inside)] = path.read_bytes()
    return found


def compare(name: str, before: Path, after: Path) -> tuple[int, list[str]]:
    """The number of compared entries of a run, and the names of those that differ."""
    place = folder_name(name)
    left, right = contents(before / place), contents(after / place)
    if not any(".npz" in key for key in left):
        sys.exit(f"{before / place}: no .npz file was found, so there is nothing to compare")
    differing = [key for key in left.keys() | right.keys() if left.get(key) != right.get(key)]
    return len(left.keys() | right.keys()), sorted(differing)


def main() -> int:
    """Run and compare. Returns exit code 1 if anything differs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, required=True, help="the first checkout")
    parser.add_argument("--after", type=Path, help="the second checkout")
    parser.add_argument("--keep", type=Path, help="where the first checkout's runs are stored")
    parser.add_argument("--keep-after", type=Path, help="the same for the second checkout")
    parser.add_argument(
        "--only", nargs="+", metavar="WORD", help="runs whose name contains one of these words"
    )
    arguments = parser.parse_args()
    if not os.environ.get("TFDS_DATA_DIR"):
        sys.exit("TFDS_DATA_DIR is not set: retraining needs MNIST")
    words = arguments.only or [""]
    names = [name for name in RUNS if any(word in name for word in words)]
    sides = [(arguments.before, arguments.keep), (arguments.after, arguments.keep_after)]
    checkouts = [(path.resolve(), keep) for path, keep in sides if path]
    for checkout, _ in checkouts:
        check_import(checkout)
    differences = 0
    with tempfile.TemporaryDirectory() as temporary:
        folders = []
        for i, (checkout, keep) in enumerate(checkouts):
            folder = (keep or Path(temporary) / str(i)).resolve()
            folder.mkdir(parents=True, exist_ok=True)
            folders.append(folder)
            print(f"{'before' if i == 0 else 'after '}: {checkout} {commit_of(checkout)}")
        print(f"\n{'run':32}{'seconds':>16}{'compared':>10}{'differ':>8}")
        for name in names:
            seconds = [
                record(name, checkout, folder, commit_of(checkout))
                for (checkout, _), folder in zip(checkouts, folders, strict=True)
            ]
            times = " / ".join(f"{s:.1f}" for s in seconds)
            if len(folders) < 2:
                print(
                    f"{name:32}{times:>16}{len(contents(folders[0] / folder_name(name))):>10}",
                    flush=True,
                )
                continue
            compared, differing = compare(name, *folders)
            differences += len(differing)
            print(f"{name:32}{times:>16}{compared:>10}{len(differing):>8}", flush=True)
            for key in differing[:12]:
                print(f"    differs: {key}")
    if len(checkouts) == 2:
        print("\nthe same bits" if not differences else f"\n{differences} differences")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
