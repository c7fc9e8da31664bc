"""Retraining on MNIST: networks trained from scratch on digits and on earlier fooling images.

Source: paper, "Training networks to recognize fooling images". Images evolved against DNN_1 become
class n + 1 in the training set of DNN_2, and so on.

A round trains a network, measures it, and evolves pictures against it. A finished round is a
folder:

run.json        settings, versions, status
round_01/ ...   network.safetensors, images.npz, row.json
table.csv, table.json, table.md, retrain.png, contact_sheet.png
"""

import dataclasses
import functools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Float, Int, PyTree, UInt8
from rich.console import Console

from qd_fool.commands.common.circumstances import with_parts
from qd_fool.commands.common.imports import imports_record
from qd_fool.commands.common.progress import progress_bar
from qd_fool.commands.common.record import continued_by, new_record, resume_command
from qd_fool.commands.common.signals import stop_on_signal
from qd_fool.commands.common.team import stepping, taking_part, words_of_follower
from qd_fool.commands.retrain.config import RetrainConfig, RetrainResult
from qd_fool.commands.retrain.mnist.files import (
    DIGITS,
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
    facts_to_agree,
    plan_mnist,
    round_seeds,
)
from qd_fool.commands.retrain.mnist.table import columns_of, print_rows, words_of, write_tables
from qd_fool.commands.retrain.mnist.tools import Tick, Tools, TrainingSet, make_tools
from qd_fool.data.mnist import load_mnist
from qd_fool.devices.lockstep import Lockstep
from qd_fool.devices.mesh import make_mesh
from qd_fool.devices.processes import ALONE, LostProcessError, Team, agree
from qd_fool.files import write_json
from qd_fool.runs.directory import make_run_dir, may_resume, read_run, sole_user
from qd_fool.scoring.confidence import confidence_of


@dataclasses.dataclass(frozen=True, eq=False)
class _Digits:
    """MNIST, on the host."""

    images: UInt8[np.ndarray, "n 28 28 1"]
    labels: Int[np.ndarray, " n"]
    test_images: UInt8[np.ndarray, "m 28 28 1"]
    test_labels: Int[np.ndarray, " m"]


@dataclasses.dataclass(frozen=True, eq=False)
class _Round:
    """The outcome of a round.

    Attributes:
      params: Parameters of the network.
      pictures: Pictures that were evolved against the network.
      row: Row of the table.
    """

    params: PyTree[Array]
    pictures: Pictures
    row: dict[str, Any]


def retrain_mnist(
    config: RetrainConfig, run_dir: Path, *, console: Console, team: Team = ALONE
) -> RetrainResult:
    """Train, evolve and train again; or continue, until all rounds are done or Ctrl-C.

    Args:
      config: Settings of the retraining.
      run_dir: Directory to write.
      console: Console for progress and results.
      team: Processes that share the work; process 0 writes.

    Raises:
      UserError: Settings are wrong, the directory is in use, or MNIST is missing. Nothing is
        overwritten.
    """
    # Check the settings, and read the digits.
    say = console.print
    with taking_part(team):
        resuming = team.leads and may_resume(run_dir, resume=config.resume, kind="retraining")
        planned = plan_mnist(config)
        stored = read_run(run_dir) if resuming else None
        if stored:
            check_stored(run_dir, stored, planned)
        data_dir = None if config.data_dir is None else str(config.data_dir)
        train, test = (load_mnist(split, data_dir=data_dir) for split in ("train", "test"))
        digits = _Digits(*train, *test)
        mesh = make_mesh(together=team.count > 1)
    if team.count > 1:
        agree(team, facts_to_agree(planned, mesh, digits=[*train, *test]), mesh=mesh)
    work = functools.partial(_rounds, planned, digits, mesh=mesh)
    if not team.leads:
        say(words_of_follower(team))
        with stop_on_signal(), stepping(team) as steps:
            interrupted = work(run_dir=run_dir, steps=steps, console=Console(quiet=True))
        say(f"process {team.index} is done")
        return RetrainResult(run_dir, [], interrupted)

    say(
        f"retraining LeNet on MNIST and {config.encoding} pictures: {planned.rounds} networks, "
        f"{config.seeds} evolutions against each, into {run_dir}"
    )
    command = resume_command("retrain", run_dir)
    with stepping(team) as steps:
        make_run_dir(run_dir)
        with continued_by(command), stop_on_signal(), sole_user(run_dir):
            evolution = planned.evolutions[config.encoding]
            record = new_record(
                "retraining",
                evolution.subject,
                mesh,
                config=planned.record,
                generations=evolution.generations,
                classes=DIGITS + 1,
                imports=imports_record(config.imports) or (stored or {}).get("imports", []),
            )
            done = finished_rounds(run_dir)
            record = with_parts(record, stored or {}, done=done, console=console)
            write_json(run_dir / "run.json", record)

            # Do the rounds.
            try:
                interrupted = work(run_dir=run_dir, steps=steps, console=console)
            except LostProcessError as error:
                facts = {"status": "interrupted", "rounds": finished_rounds(run_dir)}
                write_json(run_dir / "run.json", record | facts)
                raise LostProcessError(f"{error}; continue with: {command}") from error
            steps.end()
            rows = [read_row(run_dir, i + 1) for i in range(finished_rounds(run_dir))]

            # Write the results.
            status = "interrupted" if interrupted else "finished"
            write_json(run_dir / "run.json", record | {"status": status, "rounds": len(rows)})
            if rows:
                write_tables(run_dir, rows, planned)
                write_pictures(run_dir, rows, other=planned.other_encoding)
                print_rows(console, rows, other=planned.other_encoding)
                say(f"look at {run_dir / 'table.md'} and {run_dir / 'retrain.png'}")
            if interrupted:
                say(f"interrupted, {len(rows)} of {planned.rounds} done; continue with: {command}")
            return RetrainResult(run_dir, rows, interrupted)


def _rounds(
    planned: RetrainPlan,
    digits: _Digits,
    *,
    mesh: Mesh,
    run_dir: Path,
    steps: Lockstep,
    console: Console,
) -> bool:
    """Do rounds until all are done or a signal came; True if a signal came."""
    leads = steps.team.leads
    done = steps.next(finished_rounds(run_dir) if leads else 0)
    if done:
        console.print(f"{done} rounds are done already")
    if done >= planned.rounds:
        return False
    tools = make_tools(planned, mesh=mesh, team=steps.team)
    earlier = [read_pictures(run_dir, number + 1) for number in range(done)]
    for number in range(done + 1, planned.rounds + 1):
        with _progress(console, steps, number=number, total=tools.pieces) as tick:
            done_round = _round(
                planned,
                tools,
                digits=digits,
                earlier=earlier,
                number=number,
                steps=steps,
                tick=tick,
            )
        if done_round is None:
            return True
        if leads:
            write_round(run_dir, number, **vars(done_round))
        earlier.append(done_round.pictures)
        console.print(words_of(done_round.row))
        if number < planned.rounds and steps.stops():
            return True
    return False


@contextmanager
def _progress(console: Console, steps: Lockstep, *, number: int, total: int) -> Iterator[Tick]:
    """Show a bar for a round. A piece of work calls the yielded `tick` to know if it must stop."""
    with progress_bar(console, f"DNN_{number}", total=total, transient=True) as bar:

        def tick() -> bool:
            bar.advance()
            return steps.stops()

        yield tick


def _round(
    planned: RetrainPlan,
    tools: Tools,
    *,
    digits: _Digits,
    earlier: list[Pictures],
    number: int,
    steps: Lockstep,
    tick: Tick,
) -> _Round | None:
    """Train a network, test it on digits and earlier pictures, and evolve pictures against it.

    Args:
      planned: Settings of the retraining.
      tools: Compiled functions.
      digits: MNIST.
      earlier: Pictures of each earlier round.
      number: Number of the round, from 1.
      steps: Steps of all processes.
      tick: Function to call after each piece of work.

    Returns:
      The round; None if it was stopped.
    """
    config = planned.config
    seeds = round_seeds(config.seed, number, seeds=config.seeds, held_out=config.held_out_seeds)

    # Train on digits and on all earlier pictures.
    started = time.perf_counter()
    training_set = _training_set(planned, digits, earlier)
    classes = DIGITS if number == 1 else DIGITS + 1
    params = tools.train(training_set, classes=classes, seed=seeds.training, tick=tick)
    if params is None:
        return None
    params = steps.share(params)

    # Evolve against the new network.
    trained = time.perf_counter()
    guesses = tools.score(params, digits.test_images).argmax(axis=1)
    pictures = _evolve(planned, tools, params=params, seeds=seeds, tick=tick)
    if pictures is None:
        return None

    # Measure both.
    row = {
        "network": f"DNN_{number}",
        "round": number,
        "test_error": float(np.mean(guesses != digits.test_labels)),
        "test_images": len(guesses),
        "training_images": training_set.count,
        **columns_of(pictures),
        **_caught(tools, params, before=earlier[-1] if earlier else None),
        "training_seconds": round(trained - started, 1),
        "evolution_seconds": round(time.perf_counter() - trained, 1),
        "training_seed": seeds.training,
        **{
            f"{name}_seeds": [int(s) for s in getattr(seeds, name)]
            for name in ("evolved", "held_out", "other")
        },
    }
    return _Round(params, pictures, row)


def _training_set(planned: RetrainPlan, digits: _Digits, earlier: list[Pictures]) -> TrainingSet:
    """The digits and all evolved pictures so far.

    Blank images fill the set up to the size of the last round's, so that training compiles once.
    """
    more = [pictures.in_group(EVOLVED).images for pictures in earlier]
    count = len(digits.images) + sum(map(len, more))
    each = planned.config.seeds * DIGITS
    room = max(count, len(digits.images) + (planned.rounds - 1) * each)
    images = np.zeros((room, *digits.images.shape[1:]), np.uint8)
    images[:count] = np.concatenate([digits.images, *more])
    labels = np.full(room, DIGITS, np.int32)
    labels[: len(digits.images)] = digits.labels
    images, labels = jax.device_put((images, labels))
    return TrainingSet(images, labels, count)


def _evolve(
    planned: RetrainPlan, tools: Tools, *, params: PyTree[Array], seeds: RoundSeeds, tick: Tick
) -> Pictures | None:
    """The pictures of all evolutions against a network, scored again as saved; None if stopped."""
    encoding, other = planned.config.encoding, planned.other_encoding
    jobs = [
        (EVOLVED, encoding, seeds.evolved),
        (HELD_OUT, encoding, seeds.held_out),
        (OTHER, other, seeds.other),
    ]
    parts: list[tuple[Any, ...]] = []
    for group, name, group_seeds in jobs:
        if not len(group_seeds):
            continue
        evolved = tools.evolve(name, params, seeds=group_seeds, tick=tick)
        if evolved is None:
            return None
        images, evaluations = evolved
        cell = np.tile(np.arange(DIGITS), len(group_seeds))
        flat = images.reshape(-1, *images.shape[2:])
        confidence = confidence_of(tools.score(params, flat))[np.arange(len(cell)), cell]
        names = np.full(len(cell), group, dtype=f"U{len(OTHER)}")
        seed = np.repeat(group_seeds, DIGITS)
        parts.append((flat, names, seed, cell, confidence, evaluations.reshape(-1)))
    return Pictures(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _caught(
    tools: Tools, params: PyTree[Array], *, before: Pictures | None
) -> dict[str, float | None]:
    """Columns on the last round's pictures: the shares that this network calls fooling images."""
    columns = {EVOLVED: "caught", HELD_OUT: "caught_held_out", OTHER: "caught_other"}
    shares: dict[str, float | None] = dict.fromkeys(columns.values())
    for group, column in columns.items():
        images = before.in_group(group).images if before else np.zeros(0)
        if len(images):
            guesses: Float[np.ndarray, " n"] = tools.score(params, images).argmax(axis=1)
            shares[column] = float(np.mean(guesses == DIGITS))
    return shares
