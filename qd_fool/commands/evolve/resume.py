"""The settings of a stored run, and whether a run can continue with others."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qd_fool.commands.common.imports import import_differences, refuse_unknown
from qd_fool.commands.common.settings import (
    check_type,
    config_of,
    from_plain,
    outcome,
    refuse_differences,
)
from qd_fool.commands.evolve.config import EvolveConfig, record_of_run
from qd_fool.commands.evolve.parts import settings_used
from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.commands.evolve.presets import with_preset
from qd_fool.registry import all_settings
from qd_fool.runs.directory import read_run


def config_of_record(record: Mapping[str, Any], *, source: str) -> EvolveConfig:
    """The configuration of a record, with the settings of its encoding and emitters.

    Records of older versions also hold settings that the run did not use. They are left out.

    Args:
      record: Plain values by name, from `record_of_run`.
      source: Where the record stands, for messages.

    Raises:
      UserError: The record is damaged, or names an unknown encoding or emitter.
    """
    record = {"shares": "fixed", "tune_after": 0.0, **record}  # older versions knew no other
    config = config_of(EvolveConfig, record, source=source, needs=("model", "encoding", "seed"))
    stored = [setting for setting in settings_used(config) if setting.key in record]
    for setting in stored:
        check_type(setting.key, record[setting.key], setting.default, source=source)
    settings = {s.key: from_plain(record[s.key], s.type) for s in stored}
    return dataclasses.replace(config, settings=settings)


def stored_config(run_dir: Path) -> EvolveConfig:
    """The configuration that a run was started with, as a default for resuming it.

    Args:
      run_dir: Directory of the run.

    Raises:
      UserError: There is no run, it is damaged, or its encoding, emitter or network is unknown. The
        error then names the file that the run imported.
    """
    run = read_run(run_dir)
    refuse_unknown(run)
    config = config_of_record(run["config"], source=f"{run_dir / 'run.json'}: its config")
    # Photographs were scored when the run began.
    return dataclasses.replace(config, photos=None, convert=False, run_dir=run_dir, resume=True)


def check_resumable(run_dir: Path, wanted: EvolvePlan) -> dict[str, Any]:
    """The `run.json` of a run that is to continue.

    Args:
      run_dir: Directory of the run.
      wanted: Plan with which the run would continue.

    Raises:
      UserError: The run had another configuration; the error names each difference.
    """
    run = read_run(run_dir)
    also = import_differences(run, wanted.config.imports)
    refuse_differences(run_dir, _outcome(run["config"]), _outcome(wanted.record), also=also)
    return run


def _outcome(record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a record that decides the outcome, with only the settings that the run used.

    Values without a field, such as the weights' SHA-256, are kept.
    """
    config = with_preset(config_of_record(record, source="run.json: its config"))
    known = {name for setting in all_settings() for name in setting.names}
    rest = {name: value for name, value in record.items() if name not in known}
    return outcome(EvolveConfig, rest | record_of_run(config))
