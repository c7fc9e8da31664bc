"""`qd-fool reproduce`: the paper's experiments, one command after another, and a summary."""

import dataclasses
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from qd_fool.commands.evolve.flags import flag
from qd_fool.commands.reproduce.imagenet import imagenet_rows, imagenet_steps
from qd_fool.commands.reproduce.mnist import mnist_rows, mnist_steps
from qd_fool.commands.reproduce.steps import Step, load_seconds
from qd_fool.commands.reproduce.summary import write_summary
from qd_fool.errors import UserError
from qd_fool.files import write_json
from qd_fool.runs.directory import make_run_dir

INTERRUPTED = 130


CACHE = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1"}
"""Seeds of one kind run the same program: it is compiled once for all of them."""


@dataclasses.dataclass(frozen=True)
class ReproduceConfig:
    """Run the paper's experiments, and lay what comes of them beside the paper's figures.

    Each is a command of its own, which is printed, and stands in the summary beside its figures.
    The same command again goes on where it was cut off; what is finished stays.
    """

    what: Annotated[Literal["mnist", "imagenet"], tyro.conf.Positional]
    """mnist: under an hour on two cores; imagenet: about as long with the default --budget."""
    out: Path | None = None
    """Where to write: summary.md, summary.csv, plots, and a directory a run;
    runs/reproduce-mnist or runs/reproduce-imagenet if not given."""
    seeds: int | None = None
    """Evolutions of a kind, with seeds 0, 1, ...; 5 on MNIST, 1 on ImageNet if not given."""
    encoding: Literal["direct", "cppn", "both"] = "direct"
    """MNIST: of the retraining rounds."""
    rounds: int = 15
    """MNIST: networks in the retraining table."""
    recipe: Literal["short", "caffe"] = "short"
    """MNIST: how networks are trained: the short recipe, or Caffe's."""
    data_dir: Path | None = None
    """MNIST: where tensorflow-datasets keeps its data."""
    budget: int = 40_000
    """ImageNet: counted evaluations of an evolution; the paper's took 2,000,800."""
    networks: tuple[str, ...] = ("squeezenet1.1", "efficientnet-lite0", "efficientnet-lite1")
    """ImageNet: NAME or NAME=WEIGHTS. The first is fooled, and together with the second; all judge
    all pictures."""
    photos: str | None = None
    """ImageNet: photographs for retraining, as in `qd-fool retrain`; without, none is done."""

    def __post_init__(self) -> None:
        """Refuse what can't be run.

        Raises:
          UserError: a number out of range, or too few networks.
        """
        for name in ("seeds", "rounds", "budget"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"--{flag(name)} is {value}: expected 1 or more")
        if len(self.networks) < 3:
            raise UserError(
                f"--networks names {len(self.networks)}: expected 3 or more, two to be fooled at "
                "once and one that is held out"
            )


def reproduce_run(config: ReproduceConfig, *, console: Console) -> Path:
    """Run what is not finished yet, and write the summary.

    Returns:
      The directory.

    Raises:
      UserError: a command failed; those before it are kept.
    """
    out = config.out or Path("runs") / f"reproduce-{config.what}"
    make_run_dir(out, flag="--out")
    steps = mnist_steps(config, out) if config.what == "mnist" else imagenet_steps(config, out)
    run_steps(steps, out, console=console)
    rows = (mnist_rows if config.what == "mnist" else imagenet_rows)(config, out, steps)
    write_summary(out, rows, steps, title=_title(config), command=_command(config, out))
    console.print(f"look at {out / 'summary.md'}")
    return out


def _command(config: ReproduceConfig, out: Path) -> str:
    words = ["qd-fool", "reproduce", config.what, "--out", str(out)]
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.name not in ("what", "out") and value != field.default:
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{flag(field.name)}", *map(str, values)]
    return shlex.join(words)


def _title(config: ReproduceConfig) -> str:
    return "MNIST" if config.what == "mnist" else f"ImageNet, {config.budget:,} evaluations"


def run_steps(steps: Sequence[Step], out: Path, *, console: Console) -> None:
    """Run those commands whose results are not there, in order, each in a process of its own.

    Raises:
      UserError: one failed.
      KeyboardInterrupt: one was interrupted.
    """
    seconds = load_seconds(out)
    for i, step in enumerate(steps):
        told = f"[{i + 1}/{len(steps)}] {step.command}"
        if step.finished():
            console.print(f"{told}  (done)")
            continue
        console.print(told)
        began = time.monotonic()
        # Each step is a process: what it compiled and allocated is given back. It also draws its
        # own progress bar, so this process draws none.
        code = subprocess.run(  # noqa: S603  # this program, with words of its own making
            [sys.executable, "-m", "qd_fool.cli", *step.words],
            check=False,
            env={**CACHE, "JAX_COMPILATION_CACHE_DIR": str(out / "compiled"), **os.environ},
        ).returncode
        # Parts of a step that was cut off add up.
        seconds[step.command] = seconds.get(step.command, 0.0) + time.monotonic() - began
        write_json(out / "seconds.json", {k: round(v, 1) for k, v in seconds.items()})
        if code in (INTERRUPTED, -2):
            raise KeyboardInterrupt
        if code or not step.finished():
            raise UserError(
                f"a step failed (exit code {code}): {step.command}; the same command again goes on "
                "from there"
            )
