"""`qd-fool retrain`: choose the retraining for a network, and read a stored run's settings."""

import dataclasses
from pathlib import Path

from rich.console import Console

from qd_fool.commands.common.imports import refuse_unknown
from qd_fool.commands.common.settings import config_of, flag
from qd_fool.commands.common.team import join
from qd_fool.commands.retrain.config import RetrainConfig, RetrainResult
from qd_fool.commands.retrain.imagenet.rounds import retrain_imagenet
from qd_fool.commands.retrain.mnist.rounds import retrain_mnist
from qd_fool.errors import UserError
from qd_fool.files import read_json
from qd_fool.models.zoo import ZOO
from qd_fool.runs.directory import new_directory


def retrain_run(config: RetrainConfig, *, console: Console) -> RetrainResult:
    """Retrain a network, round after round, or continue, until all is done or Ctrl-C.

    Raises:
      UserError: Settings are wrong, the directory is in use, or data can't be read. Nothing is
        overwritten.
    """
    imagenet = ZOO[config.model].imagenet
    _refuse_foreign(config, imagenet=imagenet)
    retrain = retrain_imagenet if imagenet else retrain_mnist
    run_dir = new_directory(config.run_dir, "retrain", config.model, config.encoding)
    return retrain(config, run_dir, console=console, team=join(config))


def _refuse_foreign(config: RetrainConfig, *, imagenet: bool) -> None:
    """Refuse settings that would have no effect on this network."""
    kind, other = ("ImageNet", "MNIST") if imagenet else ("MNIST", "ImageNet")
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.metadata.get("networks_of") == other and value != field.default:
            raise UserError(
                f"--{flag(field.name)} {value} applies only to networks of {other}: {config.model} "
                f"is one of {kind}"
            )


def stored_retrain(run_dir: Path) -> RetrainConfig:
    """The settings that a retraining was started with, as defaults for resuming it.

    Raises:
      UserError: There is no retraining, or its record is damaged.
    """
    # A retraining on ImageNet has runs in its directory, but no run.json beside them.
    paths = [run_dir / name for name in ("run.json", "settings.json")]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise UserError(f"{run_dir} is no retraining: no run.json or settings.json in it")
    found = read_json(path)
    if not isinstance(found, dict) or not isinstance(record := found.get("config"), dict):
        raise UserError(f"{path}: expected the settings of a retraining in JSON")
    kind = found.get("kind", "evolution" if path.name == "run.json" else "retraining")
    if kind != "retraining":
        raise UserError(f"{run_dir}: its kind is {kind}, expected a retraining")
    refuse_unknown(found)
    return config_of(
        RetrainConfig, record, source=f"{path}: its config", needs=("model",),
        run_dir=run_dir, resume=True,
    )  # fmt: skip
