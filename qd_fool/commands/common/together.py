"""The settings of a command that several processes run together. This module imports no JAX."""

import dataclasses
from types import MappingProxyType

import tyro

from qd_fool.commands.common.settings import UNRECORDED
from qd_fool.errors import UserError, check_range


@dataclasses.dataclass(frozen=True, kw_only=True)
class Together:
    """A command that several processes, on one machine or many, run together."""

    distributed: tyro.conf.FlagCreatePairsOff[bool] = dataclasses.field(
        default=False, metadata=UNRECORDED
    )
    """Run together with the processes that JAX finds by itself: those of SLURM, Open MPI,
    Kubernetes, or the hosts of a Cloud TPU. All run the same command."""
    coordinator: str | None = dataclasses.field(default=None, metadata=UNRECORDED)
    """HOST:PORT at which process 0 listens, where the processes are named by hand. Give the same
    command on every machine, each with its own --process-id."""
    process_id: int | None = dataclasses.field(default=None, metadata=UNRECORDED)
    """Number of this process, from 0. Process 0 writes the run directory."""
    processes: int | None = dataclasses.field(default=None, metadata=UNRECORDED)
    """Number of processes of --coordinator."""


WITHOUT_TEAM = MappingProxyType({field.name: None for field in dataclasses.fields(Together)})
"""Fields that leave several processes out of a command line: one process does the same."""


def check_together(settings: Together) -> None:
    """Check the flags of several processes.

    Raises:
      UserError: Some of them are missing, or out of range.
    """
    flags = {
        "--coordinator": settings.coordinator,
        "--process-id": settings.process_id,
        "--processes": settings.processes,
    }
    missing = [flag for flag, value in flags.items() if value is None]
    if len(missing) == len(flags):
        return
    if missing:
        given = next(flag for flag, value in flags.items() if value is not None)
        raise UserError(f"{given} needs {' and '.join(missing)}")
    if settings.distributed:
        raise UserError("--distributed finds the processes itself: expected no --coordinator")
    check_range(settings, "processes", least=1)
    check_range(settings, "process_id", least=0, most=(settings.processes or 1) - 1)
    host, _, port = (settings.coordinator or "").rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(f"--coordinator is {settings.coordinator}: expected HOST:PORT")
