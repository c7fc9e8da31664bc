"""The commands of a reproduction, and readers of their results."""

import csv
import dataclasses
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from qd_fool.errors import UserError
from qd_fool.files import read_json
from qd_fool.runs.directory import read_run


@dataclasses.dataclass(frozen=True)
class Step:
    """A command of `qd-fool` and its result.

    Attributes:
      name: Short name, unique among the steps.
      words: Words of the command after `qd-fool`.
      result: Run directory or file that exists when the command is done.
    """

    name: str
    words: tuple[str, ...]
    result: Path

    @property
    def command(self) -> str:
        """The command as people type it."""
        return shlex.join(["qd-fool", *self.words])

    def finished(self) -> bool:
        """Whether the result exists and is complete."""
        if self.result.suffix:
            return self.result.is_file()
        run = self.result / "run.json"
        return run.is_file() and read_run_status(run) == "finished"


def read_run_status(path: Path) -> str | None:
    """The status in a `run.json`; None if the file is not complete."""
    try:
        run = read_json(path)
    except UserError:
        return None
    return run.get("status") if isinstance(run, dict) else None


def load_seconds(out: Path) -> dict[str, float]:
    """The seconds that each command took."""
    path = out / "seconds.json"
    return read_json(path) if path.is_file() else {}


def named(steps: Sequence[Step], name: str) -> Step:
    """The step with a name."""
    return next(step for step in steps if step.name == name)


def by_kind(steps: Sequence[Step], kinds: Iterable[str]) -> dict[str, list[Step]]:
    """Return the steps `KIND/...` of each kind, in order."""
    return {kind: [step for step in steps if step.name.startswith(f"{kind}/")] for kind in kinds}


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, one dictionary per row."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def confidences(run_dir: Path) -> np.ndarray:
    """The confidence of each elite of a run, `(elites,)`."""
    return np.asarray([float(row["confidence"]) for row in rows_of(run_dir / "elites.csv")])


def evaluations(run_dir: Path) -> int:
    """The counted evaluations of a run."""
    return int(read_run(run_dir)["evaluations"])
