"""`qd-fool reproduce`: the paper's experiments, one command after another, and a summary."""

import contextlib
import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from qd_fool.commands.common.settings import command_line
from qd_fool.commands.common.signals import EXIT_INTERRUPTED, Stop, stop_on_signal
from qd_fool.commands.reproduce.config import ReproduceConfig
from qd_fool.commands.reproduce.imagenet import imagenet_rows, imagenet_steps
from qd_fool.commands.reproduce.mnist import mnist_rows, mnist_steps
from qd_fool.commands.reproduce.steps import Step, load_seconds
from qd_fool.commands.reproduce.summary import write_summary
from qd_fool.errors import UserError
from qd_fool.files import write_json
from qd_fool.runs.directory import make_run_dir

LOOK_SECONDS = 0.1
"""Time between two looks whether a signal came while a command runs."""

CACHE = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "1"}
"""Environment for the commands: seeds of one kind run the same program, which is compiled once."""


def reproduce_run(config: ReproduceConfig, *, console: Console) -> Path:
    """Run all commands that are not finished yet, and write the summary.

    Args:
      config: Settings of the reproduction.
      console: Console for progress.

    Returns:
      The directory.

    Raises:
      UserError: A command failed; the results of earlier commands are kept.
    """
    out = config.out or Path("runs") / f"reproduce-{config.experiments}"
    make_run_dir(out, flag="--out")
    steps = (
        mnist_steps(config, out) if config.experiments == "mnist" else imagenet_steps(config, out)
    )
    flags = [word for file in config.imports for word in ("--import", str(file))]
    steps = [dataclasses.replace(step, words=(*step.words, *flags)) for step in steps]
    run_steps(steps, out, console=console)
    rows = (mnist_rows if config.experiments == "mnist" else imagenet_rows)(config, out, steps)
    write_summary(
        out, rows, steps, title=_title(config), command=command_line("reproduce", config, out=out)
    )
    console.print(f"look at {out / 'summary.md'}")
    return out


def _title(config: ReproduceConfig) -> str:
    """Title of the summary."""
    return "MNIST" if config.experiments == "mnist" else f"ImageNet, {config.budget:,} evaluations"


def run_steps(steps: Sequence[Step], out: Path, *, console: Console) -> None:
    """Run all commands without a result, in order, each in its own process.

    Args:
      steps: Commands, in order.
      out: Directory of the reproduction, for times and compiled programs.
      console: Console for progress.

    Raises:
      UserError: A command failed.
      KeyboardInterrupt: A command was interrupted.
    """
    seconds = load_seconds(out)
    for i, step in enumerate(steps):
        line = f"[{i + 1}/{len(steps)}] {step.command}"
        # Skip a finished command, but print it.
        if step.finished():
            console.print(f"{line}  (done)")
            continue

        # Run it in its own process, which frees its memory and compiled programs at the end.
        console.print(line)
        began = time.monotonic()
        with stop_on_signal() as stop:
            code = _run(step, out, stop)

        # Add up the times of a command that was interrupted and continued.
        seconds[step.command] = seconds.get(step.command, 0.0) + time.monotonic() - began
        write_json(out / "seconds.json", {k: round(v, 1) for k, v in seconds.items()})

        # Stop if the command was interrupted or failed.
        stop.check()
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        if code or not step.finished():
            raise UserError(
                f"a step failed (exit code {code}): {step.command}; run the same command again "
                "to continue from there"
            )


def _run(step: Step, out: Path, stop: Stop) -> int:
    """Run a command in a process of its own, and pass a signal on to it; its exit code.

    Args:
      step: The command.
      out: Directory of the reproduction.
      stop: True once a signal came.
    """
    process = subprocess.Popen(  # noqa: S603  # this program, with words that this module made
        [sys.executable, "-m", "qd_fool.cli", *step.words],
        env={**CACHE, "JAX_COMPILATION_CACHE_DIR": str(out / "compiled"), **os.environ},
    )
    passed_on = False
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=LOOK_SECONDS)
        # Ctrl-C has reached both processes. The other then takes this signal as the same one.
        if stop and not passed_on:
            passed_on = True
            process.terminate()
