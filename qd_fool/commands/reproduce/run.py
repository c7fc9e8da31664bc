"""`qd-fool reproduce`: the paper's experiments, one command after another, and a summary."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from qd_fool.commands.common.settings import command_line
from qd_fool.commands.reproduce.config import ReproduceConfig
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
    flags = [word for file in config.imports for word in ("--import", str(file))]
    steps = [step._replace(words=(*step.words, *flags)) for step in steps]
    run_steps(steps, out, console=console)
    rows = (mnist_rows if config.what == "mnist" else imagenet_rows)(config, out, steps)
    write_summary(
        out, rows, steps, title=_title(config), command=command_line("reproduce", config, out=out)
    )
    console.print(f"look at {out / 'summary.md'}", highlight=False, soft_wrap=True)
    return out


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
            console.print(f"{told}  (done)", highlight=False, soft_wrap=True, markup=False)
            continue
        console.print(told, highlight=False, soft_wrap=True, markup=False)
        began = time.monotonic()
        # A process each: what one has compiled and allocated is given back.
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
                f"a step failed (exit code {code}): {step.command}; the same command again "
                "continues from there"
            )
