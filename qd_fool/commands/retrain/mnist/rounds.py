"""Retraining on MNIST: networks trained from scratch on digits and on what fooled the ones before.

Source: paper, "Training networks to recognize fooling images": images evolved
against DNN_1 become class n + 1 of DNN_2's training set, and so on.

A round trains a network, measures it and evolves against it, and is a folder once it is done:

run.json        settings, versions, status
round_01/ ...   network.safetensors, images.npz, row.json
table.csv, table.json, table.md, retrain.png, contact_sheet.png
"""

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, UInt8
from rich.console import Console

from qd_fool.commands.common.progress import progress_bar
from qd_fool.commands.common.record import new_record, resume_command
from qd_fool.commands.common.signals import stop_on_signal
from qd_fool.commands.retrain.config import RetrainConfig, RetrainResult
from qd_fool.commands.retrain.mnist.files import (
    EVOLVED,
    HELD_OUT,
    OTHER,
    Pictures,
    finished_rounds,
    read_pictures,
    read_row,
    write_round,
)
from qd_fool.commands.retrain.mnist.pictures import write_pictures
from qd_fool.commands.retrain.mnist.plan import (
    RetrainPlan,
    RoundSeeds,
    check_stored,
    plan_mnist,
    round_seeds,
)
from qd_fool.commands.retrain.mnist.table import print_rows, words_of, write_tables
from qd_fool.commands.retrain.mnist.tools import Tick, Tools, make_tools
from qd_fool.data.mnist import load_mnist
from qd_fool.devices.mesh import make_mesh
from qd_fool.files import write_json
from qd_fool.judge.statistics import median_interval
from qd_fool.runs.directory import make_run_dir, may_resume, read_run, sole_user
from qd_fool.scoring.confidence import confidence_of

DIGITS = 10


@dataclasses.dataclass(frozen=True, eq=False)
class _Digits:
    """MNIST, on the host."""

    images: UInt8[np.ndarray, "n 28 28 1"]
    labels: Int[np.ndarray, " n"]
    test_images: UInt8[np.ndarray, "m 28 28 1"]
    test_labels: Int[np.ndarray, " m"]


def retrain_mnist(config: RetrainConfig, run_dir: Path, *, console: Console) -> RetrainResult:
    """Train, evolve, train on what was evolved, or go on with it, until all is done or Ctrl-C.

    Raises:
      UserError: bad settings, a directory in use, no MNIST. Nothing is overwritten.
    """
    say = console.print
    resuming = may_resume(run_dir, resume=config.resume, what="retraining")
    planned = plan_mnist(config)
    stored = read_run(run_dir) if resuming else None
    if stored:
        check_stored(run_dir, stored, planned)
    data_dir = None if config.data_dir is None else str(config.data_dir)
    train, test = (load_mnist(split, data_dir=data_dir) for split in ("train", "test"))
    digits = _Digits(*train, *test)
    say(
        f"retraining LeNet on MNIST and {config.encoding} pictures: {planned.rounds} networks, "
        f"{config.seeds} evolutions against each, into {run_dir}"
    )
    make_run_dir(run_dir)
    with sole_user(run_dir):
        evolution = planned.evolutions[config.encoding]
        record = new_record(
            "retraining",
            evolution.subject,
            make_mesh(),
            config=planned.record,
            generations=evolution.generations,
            classes=DIGITS + 1,
        )
        write_json(run_dir / "run.json", record)
        interrupted = _rounds(planned, digits, run_dir, console)
        rows = [read_row(run_dir, i + 1) for i in range(finished_rounds(run_dir))]
        status = "interrupted" if interrupted else "finished"
        write_json(run_dir / "run.json", record | {"status": status, "rounds": len(rows)})
        if rows:
            write_tables(run_dir, rows, planned)
            write_pictures(run_dir, rows, other=planned.other_encoding)
            print_rows(console, rows, other=planned.other_encoding)
            say(f"look at {run_dir / 'table.md'} and {run_dir / 'retrain.png'}")
        if interrupted:
            command = resume_command("retrain", run_dir)
            say(f"interrupted, {len(rows)} of {planned.rounds} done; continue with: {command}")
        return RetrainResult(run_dir, rows, interrupted)


def _rounds(planned: RetrainPlan, digits: _Digits, run_dir: Path, console: Console) -> bool:
    """Rounds until all are done or a signal came; True if it did."""
    done = finished_rounds(run_dir)
    if done:
        console.print(f"{done} rounds are done already")
    if done >= planned.rounds:
        return False
    tools = make_tools(planned)
    earlier = [read_pictures(run_dir, number + 1) for number in range(done)]
    with stop_on_signal() as stop:
        for number in range(done + 1, planned.rounds + 1):
            with _progress(console, stop, number=number, total=tools.pieces) as tick:
                made = _round(planned, tools, digits, earlier, number, tick)
            if made is None:
                return True
            params, pictures, row = made
            write_round(run_dir, number, params=params, pictures=pictures, row=row)
            earlier.append(pictures)
            console.print(words_of(row))
            if stop and number < planned.rounds:
                return True
    return False


@contextmanager
def _progress(console: Console, stop: list[int], *, number: int, total: int) -> Iterator[Tick]:
    """Show a bar for a round; its pieces learn from `tick` that they should stop."""
    with progress_bar(console, f"DNN_{number}", total=total, transient=True) as bar:

        def tick() -> bool:
            bar.advance()
            return bool(stop)

        yield tick


def _round(
    planned: RetrainPlan,
    tools: Tools,
    digits: _Digits,
    earlier: list[Pictures],
    number: int,
    tick: Tick,
) -> tuple[Any, Pictures, dict[str, Any]] | None:
    """Train a network, see what it makes of digits and earlier pictures, evolve against it.

    Returns:
      Its parameters, the pictures and its row; None if it was stopped.
    """
    config = planned.config
    seeds = round_seeds(config.seed, number, seeds=config.seeds, held_out=config.held_out_seeds)
    started = time.perf_counter()
    images, labels, count = _training_set(planned, digits, earlier)
    classes = DIGITS if number == 1 else DIGITS + 1
    params = tools.train(images, labels, count, classes, seeds.training, tick)
    if params is None:
        return None
    trained = time.perf_counter()
    guesses = tools.score(params, digits.test_images).argmax(axis=1)
    pictures = _evolve(planned, tools, params, seeds, tick)
    if pictures is None:
        return None
    row = {
        "network": f"DNN_{number}",
        "round": number,
        "test_error": float(np.mean(guesses != digits.test_labels)),
        "test_images": len(guesses),
        "training_images": count,
        **_confidences(pictures),
        **_caught(tools, params, earlier[-1] if earlier else None),
        "training_seconds": round(trained - started, 1),
        "evolution_seconds": round(time.perf_counter() - trained, 1),
        "training_seed": seeds.training,
        **{
            f"{name}_seeds": [int(s) for s in getattr(seeds, name)]
            for name in ("evolved", "held_out", "other")
        },
    }
    return params, pictures, row


def _training_set(
    planned: RetrainPlan, digits: _Digits, earlier: list[Pictures]
) -> tuple[jax.Array, jax.Array, int]:
    """Digits and all pictures so far, filled up to the size of the last round's set; and how many.

    So that training compiles once.
    """
    more = [pictures.of(EVOLVED).images for pictures in earlier]
    count = len(digits.images) + sum(map(len, more))
    each = planned.config.seeds * DIGITS
    room = max(count, len(digits.images) + (planned.rounds - 1) * each)
    images = np.zeros((room, *digits.images.shape[1:]), np.uint8)
    images[:count] = np.concatenate([digits.images, *more])
    labels = np.full(room, DIGITS, np.int32)
    labels[: len(digits.images)] = digits.labels
    return *jax.device_put((images, labels)), count


def _evolve(
    planned: RetrainPlan, tools: Tools, params: Any, seeds: RoundSeeds, tick: Tick
) -> Pictures | None:
    """All evolutions against a network, their pictures scored again as they are saved."""
    encoding, other = planned.config.encoding, planned.other_encoding
    jobs = [
        (EVOLVED, encoding, seeds.evolved),
        (HELD_OUT, encoding, seeds.held_out),
        (OTHER, other, seeds.other),
    ]
    parts: list[tuple[Any, ...]] = []
    for group, name, some in jobs:
        if not len(some):
            continue
        made = tools.evolve(name, params, some, tick)
        if made is None:
            return None
        images, evaluations = made
        cell = np.tile(np.arange(DIGITS), len(some))
        flat = images.reshape(-1, *images.shape[2:])
        confidence = confidence_of(tools.score(params, flat))[np.arange(len(cell)), cell]
        names = np.full(len(cell), group, dtype=f"U{len(OTHER)}")
        parts.append(
            (flat, names, np.repeat(some, DIGITS), cell, confidence, evaluations.reshape(-1))
        )
    return Pictures(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _confidences(pictures: Pictures) -> dict[str, Any]:
    """What the network thinks of the pictures that were evolved against it."""
    mine, other = pictures.of(EVOLVED), pictures.of(OTHER)
    median, low, high = median_interval(mine.confidence)
    times = np.where(mine.evaluations_to_99 < 0, np.inf, mine.evaluations_to_99)
    middle = float(np.median(times))
    return {
        "pictures": len(mine.confidence),
        "median_confidence": median,
        "median_low": low,
        "median_high": high,
        "share_99": float(np.mean(mine.confidence >= 0.99)),
        "evaluations_to_99": int(middle) if np.isfinite(middle) else None,
        "other_median_confidence": median_interval(other.confidence)[0]
        if len(other.confidence)
        else None,
    }


def _caught(tools: Tools, params: Any, before: Pictures | None) -> dict[str, float | None]:
    """Shares of the pictures that fooled the network before which this one calls fooling images."""
    columns = {EVOLVED: "caught", HELD_OUT: "caught_held_out", OTHER: "caught_other"}
    shares: dict[str, float | None] = dict.fromkeys(columns.values())
    for group, column in columns.items():
        images = before.of(group).images if before else np.zeros(0)
        if len(images):
            guesses: Float[np.ndarray, " n"] = tools.score(params, images).argmax(axis=1)
            shares[column] = float(np.mean(guesses == DIGITS))
    return shares
