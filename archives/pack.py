"""Copy what a reference archive needs out of a run directory; its pictures are left out.

    python archives/pack.py runs/long archives/long

`qd-fool report archives/long` draws the pictures again from the genomes. The contact sheet is
halved, and paths in `run.json` are those of this repository.
"""

import argparse
import shutil
from pathlib import Path

from PIL import Image

from qd_fool.files import write_json
from qd_fool.runs.directory import read_run

FILES = ("archive.npz", "genomes.npz", "lineage.npz", "elites.csv", "metrics.csv")


def main() -> None:
    """Make the directory; refuses one that is there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="a finished run's directory")
    parser.add_argument("to", type=Path, help="the directory to make")
    arguments = parser.parse_args()
    run = read_run(arguments.run)
    if run["status"] != "finished":
        parser.error(f"{arguments.run} is {run['status']}: expected a finished run")
    if arguments.to.exists():
        parser.error(f"{arguments.to} is there already")
    arguments.to.mkdir(parents=True)
    for name in FILES:
        if (arguments.run / name).exists():
            shutil.copy(arguments.run / name, arguments.to / name)
    weights = run["config"].get("weights")
    run["config"] |= {
        "run_dir": arguments.to.as_posix(),
        "weights": None if weights is None else Path(weights).name,
    }
    if isinstance(run.get("weights"), str):
        run["weights"] = Path(run["weights"]).name
    write_json(arguments.to / "run.json", run)
    with Image.open(arguments.run / "contact_sheet.png") as sheet:
        half = sheet.convert("RGB").resize(
            (sheet.width // 2, sheet.height // 2), Image.Resampling.LANCZOS
        )
        half.save(arguments.to / "contact_sheet.webp", quality=60, method=6)


if __name__ == "__main__":
    main()
