"""The settings of a stored ascent, and whether an ascent can continue with others."""

import dataclasses
from pathlib import Path
from typing import Any

from qd_fool.commands.ascend.config import NOT_COMPARED, AscendConfig
from qd_fool.commands.ascend.plan import AscendPlan
from qd_fool.errors import UserError
from qd_fool.runs.directory import differences, read_run


def stored_ascent(run_dir: Path) -> AscendConfig:
    """The settings that an ascent was started with, as defaults for resuming it.

    Raises:
      UserError: no run there, or not of an ascent, or one of other fields than this version's.
    """
    record = read_run(run_dir).get("ascent")
    if not isinstance(record, dict):
        raise UserError(f"{run_dir} is the run of an evolution: expected one of qd-fool ascend")
    fields = {field.name for field in dataclasses.fields(AscendConfig)}
    paths = {"run_dir", "from_run", "weights", "mean"}
    missing = sorted(fields - set(record))
    if missing:
        raise UserError(f"{run_dir / 'run.json'}: its ascent lacks {', '.join(missing)}")
    values: dict[str, Any] = {
        name: Path(value) if name in paths and value is not None else value
        for name, value in record.items()
        if name in fields
    }
    try:
        return AscendConfig(**(values | {"run_dir": run_dir, "resume": True}))
    except TypeError as error:
        raise UserError(f"{run_dir / 'run.json'}: its ascent is damaged ({error})") from error


def check_ascent_resumable(run_dir: Path, wanted: AscendPlan) -> dict[str, Any]:
    """The `run.json` of an ascent that is to go on.

    Raises:
      UserError: it was run with other settings; names each difference.
    """
    stored_ascent(run_dir)
    run = read_run(run_dir)

    def outcome(record: dict[str, Any]) -> dict[str, Any]:
        return {k: v for k, v in record.items() if k not in NOT_COMPARED}

    different = differences(outcome(run["ascent"]), outcome(wanted.record))
    if different:
        raise UserError(f"cannot resume {run_dir}: {'; '.join(different)}")
    return run
