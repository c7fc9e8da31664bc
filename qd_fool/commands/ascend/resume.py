"""The settings of a stored ascent, and whether an ascent can continue with others."""

from pathlib import Path
from typing import Any

from qd_fool.commands.ascend.config import AscendConfig
from qd_fool.commands.ascend.plan import AscendPlan
from qd_fool.commands.common.imports import import_differences, refuse_unknown
from qd_fool.commands.common.settings import config_of, outcome, refuse_differences
from qd_fool.errors import UserError
from qd_fool.runs.directory import read_run


def stored_ascent(run_dir: Path) -> AscendConfig:
    """The settings that an ascent was started with, as defaults for resuming it.

    Raises:
      UserError: There is no run, it is not an ascent, or its record is damaged.
    """
    run = read_run(run_dir)
    refuse_unknown(run)
    record = run.get("ascent")
    if not isinstance(record, dict):
        raise UserError(f"{run_dir} is the run of an evolution: expected one of qd-fool ascend")
    source = f"{run_dir / 'run.json'}: its ascent"
    return config_of(
        AscendConfig, record, source=source, needs=("model",), run_dir=run_dir, resume=True
    )


def check_ascent_resumable(run_dir: Path, wanted: AscendPlan) -> dict[str, Any]:
    """The `run.json` of an ascent to continue.

    Raises:
      UserError: The run had other settings; the error names each difference.
    """
    stored_ascent(run_dir)
    run = read_run(run_dir)
    stored, new = (outcome(AscendConfig, r) for r in (run["ascent"], wanted.record))
    refuse_differences(run_dir, stored, new, also=import_differences(run, wanted.config.imports))
    return run
