"""Begin and close a run directory of any kind: `run.json`, pictures and report."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from qd_fool.commands.common.circumstances import circumstances
from qd_fool.commands.common.networks import Networks
from qd_fool.commands.common.subject import Subject
from qd_fool.errors import DiskError
from qd_fool.files import write_json
from qd_fool.map_elites.state import EvolutionState
from qd_fool.models.foreign.settings import must_be_named
from qd_fool.report.page.write import write_report
from qd_fool.runs.archive_npz import write_archive
from qd_fool.runs.directory import SCHEMA, read_run
from qd_fool.runs.elites import write_elites
from qd_fool.runs.stored import Kind


def new_record(
    kind: Kind, subject: Subject, mesh: Mesh, *, config: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """The `run.json` of a run that begins: its settings, devices and versions.

    Args:
      kind: Kind of the run.
      subject: Network, encoding and scoring of the run.
      mesh: Devices that the run uses.
      config: Settings, as plain values.
      **more: Further keys of this kind of run.
    """
    return {
        "schema": SCHEMA,
        "kind": kind,
        "status": "running",
        "config": config,
        **subject.record(),
        **circumstances(mesh, subject.networks),
        **more,
    }


def update_record(run_dir: Path, facts: dict[str, Any]) -> None:
    """Add facts to the `run.json` of a run."""
    write_json(run_dir / "run.json", read_run(run_dir) | facts)


def write_archive_and_elites(run_dir: Path, subject: Subject, state: EvolutionState) -> float:
    """Write `archive.npz`, `elites/` and `elites.csv`.

    Args:
      run_dir: Directory of the run.
      subject: Network, encoding and scoring of the run.
      state: State on the host.

    Returns:
      The largest difference between an elite's confidence and that of its PNG, read from disk.
    """
    write_archive(run_dir, state)
    return write_elites(
        run_dir,
        state,
        scorer=subject.scorer,
        encoding=subject.encoding,
        score=subject.score,
        chunk=subject.chunk,
    )


def close_record(run_dir: Path, facts: dict[str, Any], *, difference: float) -> None:
    """Write the last facts into `run.json`, then the report and the contact sheet.

    Args:
      run_dir: Directory of the run, with all other files written.
      facts: Facts for `run.json`.
      difference: Result of `write_archive_and_elites`.
    """
    update_record(run_dir, facts | {"png_rescored_max_difference": difference})
    write_report(run_dir)


def resume_command(command: str, run_dir: Path, networks: Networks | None = None) -> str:
    """The command line that continues a run.

    Args:
      command: Name of the command.
      run_dir: Directory of the run.
      networks: Networks of the run. Code and services must be named again.
    """
    words = ["qd-fool", command, "--resume", "--run-dir", str(run_dir)]
    names = () if networks is None else (networks.model, *networks.also)
    if networks is not None and any(map(must_be_named, names)):
        words += [word for name in names for word in ("--model", name)]
        if networks.picture.token_env is not None:
            words += ["--token-env", networks.picture.token_env]
    return shlex.join(words)


@contextmanager
def continued_by(command: str) -> Iterator[None]:
    """Add the command that continues a run to the sentence about a full disk.

    Args:
      command: The command line.

    Raises:
      DiskError: The disk became full in the block.
    """
    try:
        yield
    except DiskError as error:
        raise DiskError(f"{error}; after making room, continue with: {command}") from error


def devices_in_words(mesh: Mesh) -> str:
    """The devices in words, such as `2 x cpu (cpu)`."""
    device = mesh.devices.flat[0]
    return f"{mesh.devices.size} x {device.device_kind} ({device.platform})"
