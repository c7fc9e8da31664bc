"""The plan of a retraining on ImageNet: network, photographs and settings of its evolutions."""

import dataclasses
from pathlib import Path
from typing import Any

from qd_fool.commands.common.imports import import_differences, imports_record
from qd_fool.commands.common.networks import Networks
from qd_fool.commands.common.settings import outcome, record_of, refuse_differences
from qd_fool.commands.common.team import facts_of_process
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.plan import plan
from qd_fool.commands.evolve.resume import stored_config
from qd_fool.commands.retrain.config import RetrainConfig
from qd_fool.commands.retrain.imagenet.training import what_learns
from qd_fool.data.photograph_sets import PhotographSet, load_photograph_set
from qd_fool.devices.mesh import make_mesh
from qd_fool.devices.processes import Team
from qd_fool.errors import UserError
from qd_fool.files import read_json
from qd_fool.map_elites.evaluations import generations_for
from qd_fool.models import Scorer, load_scorer
from qd_fool.models.retrained import NEW_CLASS
from qd_fool.runs.checkpoints import digest
from qd_fool.runs.directory import may_resume, read_run

EVALUATIONS = 40_000
"""Default number of counted evaluations per evolution."""

HELD_OUT_SHARE = 4
"""Evaluations of the first evolution, divided by those of the held-out one."""

HELD_OUT_SEED = 1000
"""Difference between the seeds of the held-out evolution and the first one."""


@dataclasses.dataclass(frozen=True, eq=False)
class ImagenetPlan:
    """A `RetrainConfig` with its network and its photographs read.

    Attributes:
      config: Settings of the retraining.
      scorer: First network.
      evolution: Settings of the evolution against the first network.
      held_out: Settings of the evolution whose pictures are for tests only.
      settings: Contents of `settings.json`.
      photographs: Photographs, to train on and held out.
    """

    config: RetrainConfig
    scorer: Scorer
    evolution: EvolveConfig
    held_out: EvolveConfig
    settings: dict[str, Any]
    photographs: PhotographSet


def plan_imagenet(config: RetrainConfig, run_dir: Path, team: Team) -> ImagenetPlan:
    """Check the settings, and read network and photographs.

    Args:
      config: Settings of the retraining.
      run_dir: Directory to write.
      team: The processes.

    Raises:
      UserError: Settings are wrong, the directory is in use, or photographs can't be read.
    """
    if team.count > 1 and config.run_dir is None:
        raise UserError("--run-dir is missing: expected a directory that all processes can read")
    scorer = trainable(config.model, weights=config.weights, mean=config.mean)
    _check(config, scorer)
    evolution = _evolution(config, scorer)
    held_out = dataclasses.replace(
        _with_evaluations(evolution, _spent(evolution) // HELD_OUT_SHARE),
        seed=(evolution.seed + HELD_OUT_SEED) % 2**31,
    )
    settings = _settings(config, scorer, evolution)
    if team.leads:
        _check_resumable(run_dir, settings, config)
    photographs = load_photograph_set(
        str(config.photos),
        side=min(scorer.image_shape[:2]),
        wnids=scorer.wnids,
        data_dir=config.data_dir,
        most=config.most_photographs,
    )
    return ImagenetPlan(config, scorer, evolution, held_out, settings, photographs)


def facts_to_agree(planned: ImagenetPlan) -> dict[str, Any]:
    """What must be equal in all processes, by name.

    Args:
      planned: Plan of the retraining in this process.
    """
    photographs = planned.photographs
    return {
        **outcome(RetrainConfig, planned.settings["config"]),
        "rounds": planned.config.rounds,
        "the SHA-256 of the photographs": digest([photographs.train, photographs.held_out]),
        **facts_of_process(make_mesh(together=True), Networks(planned.config.model)),
    }


def trainable(model: str, *, weights: Path | None, mean: Path | None = None) -> Scorer:
    """Read a network whose weights can learn.

    Args:
      model: Name of the network.
      weights: Weights file; None for the network's own.
      mean: Mean image for networks that subtract one.

    Raises:
      UserError: The network can't be loaded, or runs outside JAX.
    """
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
