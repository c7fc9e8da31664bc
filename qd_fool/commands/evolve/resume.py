"""The settings of a stored run, and whether a run can continue with others."""

import dataclasses
from pathlib import Path
from typing import Any

from qd_fool.commands.evolve.config import ADDED_LATER, NOT_COMPARED, EvolveConfig
from qd_fool.commands.evolve.plan import EvolvePlan, plain
from qd_fool.errors import UserError
from qd_fool.runs.directory import differences, read_run


def with_later_fields(record: dict[str, Any]) -> dict[str, Any]:
    """A stored configuration, with those fields that its version did not have at their defaults."""
    defaults = {f.name: plain(f.default) for f in dataclasses.fields(EvolveConfig)}
    return {name: defaults[name] for name in ADDED_LATER} | record


def stored_config(run_dir: Path) -> EvolveConfig:
    """The configuration that a run was started with, as a default for resuming it.

    Raises:
      UserError: no run there, or one of other fields than this version's.
    """
    record = with_later_fields(read_run(run_dir)["config"])
    fields = {f.name for f in dataclasses.fields(EvolveConfig)}
    paths = {"weights", "init_from", "mean", "photos"}
    missing = sorted(fields - set(record))
    if missing:
        raise UserError(f"{run_dir / 'run.json'}: its config lacks {', '.join(missing)}")
    defaults = {f.name: plain(f.default) for f in dataclasses.fields(EvolveConfig)}
    for name, default in defaults.items():
        kinds = (int, float) if type(default) is float else (type(default),)
        if default is not None and type(record[name]) not in kinds:
            raise UserError(
                f"{run_dir / 'run.json'}: {name} is {record[name]!r}, expected "
                f"{type(default).__name__}"
            )
    try:
        known: dict[str, Any] = {
            k: Path(v) if k in paths and v is not None else v
            for k, v in record.items()
            if k in fields
        }
        known |= {"photos": None, "convert": False}  # shown when the run began
        known["also"] = tuple(map(str, known["also"]))
        known["also_weights"] = tuple(map(Path, known["also_weights"]))
        return EvolveConfig(**(known | {"run_dir": run_dir, "resume": True}))
    except TypeError as error:
        raise UserError(f"{run_dir / 'run.json'}: its config is damaged ({error})") from error


def check_resumable(run_dir: Path, wanted: EvolvePlan) -> dict[str, Any]:
    """The `run.json` of a run that is to go on.

    Raises:
      UserError: it was run with another configuration; names each difference.
    """
    run = read_run(run_dir)

    def outcome(record: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in record.items() if k not in NOT_COMPARED}

    different = differences(outcome(with_later_fields(run["config"])), outcome(wanted.record))
    if different:
        raise UserError(f"cannot resume {run_dir}: {'; '.join(different)}")
    return run
