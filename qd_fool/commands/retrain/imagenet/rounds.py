"""Retraining on ImageNet: a class of fooling images for a trained network, and evolution again.

Each step writes its result to the run directory, and is skipped if the result is there already:

settings.json           settings, compared on resume
before/                 evolution against the first network, unless --evolved names one
held_out/               evolution with another seed and a quarter of the evaluations; for tests only
round_1/training.csv    one row per step of training
round_1/network.safetensors
round_1/after/          evolution against that network
retrain.json, .csv, .md, retrain_curves.png, retrain_pictures.png
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from rich.console import Console

from qd_fool.commands.common.record import resume_command
from qd_fool.commands.common.settings import command_line
from qd_fool.commands.common.tables import text_table
from qd_fool.commands.common.team import ending_together, taking_part, words_of_follower
from qd_fool.commands.common.together import WITHOUT_TEAM
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.run import evolve_run
from qd_fool.commands.retrain.config import RetrainConfig, RetrainResult
from qd_fool.commands.retrain.imagenet.plan import (
    ImagenetPlan,
    facts_to_agree,
    plan_imagenet,
    trainable,
)
from qd_fool.commands.retrain.imagenet.tables import (
    CAVEAT,
    cells_of,
    evaluations_of,
    row_of,
    write_tables,
)
from qd_fool.commands.retrain.imagenet.training import accuracies, recipe_of, train_round
from qd_fool.data.photograph_sets import PhotographSet
from qd_fool.devices.mesh import make_mesh
from qd_fool.devices.processes import ALONE, LostProcessError, Team, agree, decided, leave_team
from qd_fool.errors import UserError
from qd_fool.files import write_json
from qd_fool.models import Scorer
from qd_fool.models.network import default_chunk
from qd_fool.models.retrained import NEW_CLASS
from qd_fool.runs.checkpoints import digest
from qd_fool.runs.directory import make_run_dir, read_run
from qd_fool.runs.elites import open_elite, read_elites
from qd_fool.runs.snapshot import readable
from qd_fool.scoring.score import score_function, shared_score_function


def retrain_imagenet(
    config: RetrainConfig, run_dir: Path, *, console: Console, team: Team = ALONE
) -> RetrainResult:
    """Evolve, train, evolve again; or continue, until all is done or Ctrl-C.

    Args:
      config: Settings of the retraining.
      run_dir: Directory to write.
      console: Console for progress and results.
      team: Processes that share the work. Process 0 writes; the others read the directory.

    Raises:
      UserError: Settings are wrong, the directory is in use, or photographs can't be read. Nothing
        is overwritten.
    """
    with taking_part(team):
        planned = plan_imagenet(config, run_dir, team)
    if team.count > 1:
        agree(team, facts_to_agree(planned), mesh=make_mesh(together=True))
    if not team.leads:
        console.print(words_of_follower(team))
        console = Console(quiet=True)
    command = resume_command("retrain", run_dir)
    with ending_together(team) as end_if_due:
        try:
            result = _rounds(
                planned,
                run_dir,
                team=team,
                console=console,
                command=command,
                end_if_due=end_if_due,
            )
            decided(team, 0)  # process 0 has written everything
        except LostProcessError as error:
            raise UserError(f"{error}; continue with: {command}") from error
        leave_team(team)
    return result


def _rounds(
    planned: ImagenetPlan,
    run_dir: Path,
    *,
    team: Team,
    console: Console,
    command: str,
    end_if_due: Callable[[], None],
) -> RetrainResult:
    """Do what is not there yet: two evolutions, then the rounds."""
    config, scorer, photographs = planned.config, planned.scorer, planned.photographs
    classes = len(scorer.class_names)
    if team.leads:
        make_run_dir(run_dir)
        write_json(run_dir / "settings.json", planned.settings)
    console.print(photographs.words)
    console.print(CAVEAT)
    evolve = functools.partial(
        _evolve, team=team, console=console, command=command, end_if_due=end_if_due
    )

    # Evolve against the first network: pictures to train on, and held-out ones.
    before, held_out = config.evolved or run_dir / "before", run_dir / "held_out"
    rows: list[dict[str, Any]] = []
    for name, path, wanted in (
        ("first", before, planned.evolution),
        ("held out", held_out, planned.held_out),
    ):
        if path != config.evolved and evolve(wanted, path, name=name):
            return RetrainResult(run_dir, rows, interrupted=True)
    runs = [before]
    facts = planned.settings | {
        "photographs": f"Photographs: {photographs.words}.",
        "training": dataclasses.asdict(recipe_of(config, scorer, pictures=1)) | {"steps": None},
        "held_out_evaluations": evaluations_of(held_out),
        "command": command_line("retrain", config, run_dir=run_dir, resume=None, **WITHOUT_TEAM),
    }
    measured = [_accuracies(scorer, photographs, {}, team=team)]

    # Each round trains the first network on all pictures so far, and evolves against the new one.
    for i in range(1, (config.rounds or 1) + 1):
        folder = run_dir / f"round_{i}"
        # Train.
        evolved = np.concatenate([_pictures(run, scorer) for run in runs])
        if team.count > 1:
            agree(team, {"the SHA-256 of the evolved pictures": digest(evolved)})
        train_round(
            scorer,
            config,
            photographs=photographs,
            evolved=evolved,
            folder=folder,
            console=console,
            team=team,
            end_if_due=end_if_due,
        )
        end_if_due()

        # Measure the new network.
        network = folder / "network.safetensors"
        retrained = trainable(config.model, weights=network)
        fooling = {"trained": evolved, "held_out": _pictures(held_out, scorer)}
        measured.append(_accuracies(retrained, photographs, fooling, team=team))

        # Evolve against the new network.
        again = dataclasses.replace(planned.evolution, weights=network, mean=None)
        runs.append(folder / "after")
        if evolve(again, runs[-1], name=f"round {i}"):
            return RetrainResult(run_dir, rows, interrupted=True)

        # Write the tables after each round.
        rows = _rows(runs, measured, classes=classes)
        if team.leads:
            write_tables(
                run_dir, rows, runs,
                classes=classes,
                title=f"{scorer.name} and a class of fooling images ({config.encoding})",
                facts=facts,
            )  # fmt: skip
    console.print(text_table(*cells_of(rows, classes=classes)))
    console.print(f"look at {run_dir / 'retrain.md'}")
    return RetrainResult(run_dir, rows, interrupted=False)


def _evolve(
    config: EvolveConfig,
    run_dir: Path,
    *,
    team: Team,
    console: Console,
    command: str,
    end_if_due: Callable[[], None],
    name: str,
) -> bool:
    """Evolve into a directory, unless it is finished; True if the evolution was interrupted."""
    started, finished = team.leads and (run_dir / "run.json").exists(), False
    if started:
        run = read_run(run_dir)
        wanted_end = ("finished", config.generations)
        finished = (run.get("status"), run.get("generations_done")) == wanted_end
    if decided(team, finished):
        console.print(f"{run_dir} is there already")
        return False
    end_if_due()
    console.print(f"evolution, {name}")
    wanted = dataclasses.replace(config, run_dir=run_dir, resume=started)
    staying = dataclasses.replace(team, stays=True)
    result = evolve_run(wanted, console=console, team=staying, command=command)
    if decided(team, result.interrupted):
        return True
    end_if_due()
    return False


def _pictures(run_dir: Path, scorer: Scorer) -> UInt8[np.ndarray, "n height width 3"]:
    """The saved elites of a run in the classes of photographs, each picture once.

    Raises:
      UserError: A picture is missing, or has another size than the network expects.
    """
    chosen: dict[str, str] = {}
    with readable(run_dir) as run:
        for row in read_elites(run.path):
            if int(row["class_index"]) < len(scorer.class_names):
                # An elite may hold several cells.
                chosen.setdefault(row["id"], row["png"])
        if not chosen:
            raise UserError(f"{run_dir}: found no elites, expected pictures that fool")
        images = [np.asarray(open_elite(run.path, png).convert("RGB")) for png in chosen.values()]
    if images[0].shape != scorer.image_shape:
        raise UserError(
            f"{run_dir}: its pictures are {images[0].shape}, expected {scorer.image_shape}"
        )
    return np.stack(images)


def _accuracies(
    scorer: Scorer, photographs: PhotographSet, fooling: dict[str, np.ndarray], *, team: Team
) -> dict[str, float]:
    """The accuracies of a network on photographs and fooling images."""
    chunk = default_chunk(scorer)
    score = shared_score_function(score_function(scorer, crops=1, chunk=chunk), team, chunk=chunk)
    classes = len([name for name in scorer.class_names if name != NEW_CLASS])
    return accuracies(
        score, scorer.params, photographs=photographs, fooling=fooling, classes=classes
    )


def _rows(
    runs: list[Path], measured: list[dict[str, float]], *, classes: int
) -> list[dict[str, Any]]:
    """One row per network, at the number of evaluations that all runs have reached."""
    evaluations = min(map(evaluations_of, runs))
    names = ["the first network", *(f"network {i}" for i in range(1, len(runs)))]
    return [
        row_of(run, runs[0], evaluations=evaluations, classes=classes, network=name) | shares
        for run, name, shares in zip(runs, names, measured, strict=True)
    ]
