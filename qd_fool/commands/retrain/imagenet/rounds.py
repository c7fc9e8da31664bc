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
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from rich.console import Console

from qd_fool.commands.common.imports import import_differences, imports_record
from qd_fool.commands.common.settings import (
    command_line,
    outcome,
    record_of,
    refuse_differences,
)
from qd_fool.commands.common.signals import active_stop
from qd_fool.commands.common.tables import text_table
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.plan import plan
from qd_fool.commands.evolve.resume import stored_config
from qd_fool.commands.evolve.run import evolve_run
from qd_fool.commands.retrain.config import RetrainConfig, RetrainResult
from qd_fool.commands.retrain.imagenet.tables import (
    CAVEAT,
    cells_of,
    evaluations_of,
    row_of,
    write_tables,
)
from qd_fool.commands.retrain.imagenet.training import (
    accuracies,
    recipe_of,
    train_round,
    what_learns,
)
from qd_fool.data.photograph_sets import PhotographSet, load_photograph_set
from qd_fool.errors import UserError
from qd_fool.files import read_json, write_json
from qd_fool.map_elites.evaluations import generations_for
from qd_fool.models import Scorer, load_scorer
from qd_fool.models.network import default_chunk
from qd_fool.models.retrained import NEW_CLASS
from qd_fool.runs.directory import make_run_dir, may_resume, read_run
from qd_fool.runs.elites import open_elite, read_elites
from qd_fool.runs.snapshot import readable
from qd_fool.scoring.score import score_function

EVALUATIONS = 40_000
"""Default number of counted evaluations per evolution."""

HELD_OUT_SHARE = 4
"""Evaluations of the first evolution, divided by those of the held-out one."""

HELD_OUT_SEED = 1000
"""Difference between the seeds of the held-out evolution and the first one."""


def retrain_imagenet(config: RetrainConfig, run_dir: Path, *, console: Console) -> RetrainResult:
    """Evolve, train, evolve again; or continue, until all is done or Ctrl-C.

    Args:
      config: Settings of the retraining.
      run_dir: Directory to write.
      console: Console for progress and results.

    Raises:
      UserError: Settings are wrong, the directory is in use, or photographs can't be read. Nothing
        is overwritten.
    """
    # Check the settings, and read network and photographs.
    say = console.print
    scorer = _trainable(config.model, weights=config.weights, mean=config.mean)
    _check(config, scorer)
    evolution = _evolution(config, scorer)
    settings = _settings(config, scorer, evolution)
    _check_resumable(run_dir, settings, config)
    photographs = load_photograph_set(
        str(config.photos),
        side=min(scorer.image_shape[:2]),
        wnids=scorer.wnids,
        data_dir=config.data_dir,
        most=config.most_photographs,
    )
    make_run_dir(run_dir)
    write_json(run_dir / "settings.json", settings)
    say(photographs.words)
    say(CAVEAT)

    # Evolve against the first network: pictures to train on, and held-out ones.
    before, held_out = config.evolved or run_dir / "before", run_dir / "held_out"
    quarter = dataclasses.replace(
        _with_evaluations(evolution, _spent(evolution) // HELD_OUT_SHARE),
        seed=(evolution.seed + HELD_OUT_SEED) % 2**31,
    )
    rows: list[dict[str, Any]] = []
    for name, path, wanted in (("first", before, evolution), ("held out", held_out, quarter)):
        if path != config.evolved and _evolve(wanted, path, console=console, name=name):
            return RetrainResult(run_dir, rows, interrupted=True)
    runs = [before]
    facts = settings | {
        "photographs": f"Photographs: {photographs.words}.",
        "training": dataclasses.asdict(recipe_of(config, scorer, pictures=1)) | {"steps": None},
        "held_out_evaluations": evaluations_of(held_out),
        "command": command_line("retrain", config, run_dir=run_dir, resume=None),
    }
    measured = [_accuracies(scorer, photographs, {})]

    # Each round trains the first network on all pictures so far, and evolves against the new one.
    for i in range(1, (config.rounds or 1) + 1):
        folder = run_dir / f"round_{i}"
        # Train.
        evolved = np.concatenate([_pictures(run, scorer) for run in runs])
        train_round(
            scorer,
            config,
            photographs=photographs,
            evolved=evolved,
            folder=folder,
            console=console,
        )

        active_stop().check()

        # Measure the new network.
        network = folder / "network.safetensors"
        retrained = _trainable(config.model, weights=network)
        fooling = {"trained": evolved, "held_out": _pictures(held_out, scorer)}
        measured.append(_accuracies(retrained, photographs, fooling))

        # Evolve against the new network.
        again = dataclasses.replace(evolution, weights=network, mean=None)
        runs.append(folder / "after")
        if _evolve(again, runs[-1], console=console, name=f"round {i}"):
            return RetrainResult(run_dir, rows, interrupted=True)

        # Write the tables after each round.
        active_stop().check()
        rows = _rows(runs, measured, classes=len(scorer.class_names))
        write_tables(
            run_dir, rows, runs,
            classes=len(scorer.class_names),
            title=f"{scorer.name} and a class of fooling images ({config.encoding})",
            facts=facts,
        )  # fmt: skip
    console.print(text_table(*cells_of(rows, classes=len(scorer.class_names))))
    say(f"look at {run_dir / 'retrain.md'}")
    return RetrainResult(run_dir, rows, interrupted=False)


def _trainable(model: str, *, weights: Path | None, mean: Path | None = None) -> Scorer:
    scorer = load_scorer(model, weights=weights, mean=mean)
    if not isinstance(scorer, Scorer):
        raise UserError(f"{model} runs outside JAX and can't be trained: see qd-fool models")
    return scorer


def _check(config: RetrainConfig, scorer: Scorer) -> None:
    """Refuse networks and settings that can't be retrained, before anything is written."""
    if not scorer.wnids:
        raise UserError(f"--model {config.model} is no network of ImageNet")
    if scorer.class_names[-1] == NEW_CLASS:
        raise UserError(
            f"--weights {config.weights} has a class of fooling images already: expected a network "
            "without"
        )
    if config.photos is None:
        raise UserError(
            "--photos is missing: expected a folder of photographs or a data set of "
            "tensorflow-datasets, to keep the network's accuracy on"
        )
    what_learns(scorer, config.train)


def _evolution(config: RetrainConfig, scorer: Scorer) -> EvolveConfig:
    """The settings of the evolution against the first network.

    They come from the run that `--evolved` names, or else from the flags.

    Raises:
      UserError: The run is no finished evolution against this network.
    """
    if config.evolved is None:
        evolution = EvolveConfig(
            model=config.model,
            encoding=config.encoding,
            preset=config.preset,
            seed=config.seed,
            weights=config.weights,
            mean=config.mean,
            generations=1,
            imports=config.imports,
        )
        return _with_evaluations(evolution, config.evaluations or EVALUATIONS)

    # The run must be a whole evolution against the same network, from an empty archive.
    run = read_run(config.evolved)
    sha256, status = run["config"].get("weights_sha256"), run.get("status")
    if run.get("kind", "evolution") != "evolution" or status not in ("finished", "paused"):
        raise UserError(
            f"--evolved {config.evolved}: found a run of kind {run.get('kind', 'evolution')} that "
            f"is {status}, expected an evolution that is finished"
        )
    if run["config"].get("model") != config.model or sha256 != scorer.weights_sha256:
        raise UserError(
            f"--evolved {config.evolved}: its network is {run['config'].get('model')} "
            f"({run.get('weights')}), expected {config.model} with the weights of {scorer.weights}"
        )
    if run["config"].get("init_from") is not None:
        raise UserError(f"--evolved {config.evolved}: it started from another run's elites")

    # All evolutions are counted in generations, so that they have equally many.
    evolution = dataclasses.replace(
        stored_config(config.evolved),
        weights=config.weights,
        mean=config.mean,
        imports=config.imports,
        minutes=None,
        evaluations=None,
    )
    if config.evaluations is not None:
        return _with_evaluations(evolution, config.evaluations)
    return dataclasses.replace(evolution, generations=int(run["generations_done"]))


def _with_evaluations(config: EvolveConfig, evaluations: int) -> EvolveConfig:
    """The settings with as many generations as fit into the evaluations, and at least one."""
    planned = plan(dataclasses.replace(config, generations=1))
    affordable = generations_for(planned.map_elites, evaluations, encoding=planned.subject.encoding)
    return dataclasses.replace(config, generations=affordable)


def _spent(config: EvolveConfig) -> int:
    """Counted evaluations of an evolution."""
    planned = plan(config)
    return planned.evaluations(planned.generations)


def _settings(config: RetrainConfig, scorer: Scorer, evolution: EvolveConfig) -> dict[str, Any]:
    """Contents of `settings.json`."""
    facts = {"weights_sha256": scorer.weights_sha256, "generations": evolution.generations}
    return {"config": record_of(config) | facts, "imports": imports_record(config.imports)}


def _check_resumable(run_dir: Path, settings: dict[str, Any], config: RetrainConfig) -> None:
    """Refuse to continue without --resume, or with other settings."""
    path = run_dir / "settings.json"
    if not may_resume(run_dir, resume=config.resume, kind="retraining") or not path.exists():
        return
    found = read_json(path)
    if not isinstance(found, dict) or not isinstance(stored := found.get("config"), dict):
        raise UserError(f"{path}: expected the settings of a retraining in JSON")
    was, new = (outcome(RetrainConfig, record) for record in (stored, settings["config"]))
    refuse_differences(run_dir, was, new, also=import_differences(found, config.imports))


def _evolve(config: EvolveConfig, run_dir: Path, *, console: Console, name: str) -> bool:
    """Evolve into a directory, unless it is finished; True if the evolution was interrupted."""
    started = (run_dir / "run.json").exists()
    if started:
        run = read_run(run_dir)
        if (run.get("status"), run.get("generations_done")) == ("finished", config.generations):
            console.print(f"{run_dir} is there already")
            return False
    console.print(f"evolution, {name}")
    wanted = dataclasses.replace(config, run_dir=run_dir, resume=started)
    if evolve_run(wanted, console=console).interrupted:
        return True
    active_stop().check()
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
    scorer: Scorer, photographs: PhotographSet, fooling: dict[str, np.ndarray]
) -> dict[str, float]:
    """The accuracies of a network on photographs and fooling images."""
    score = score_function(scorer, crops=1, chunk=default_chunk(scorer))
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
