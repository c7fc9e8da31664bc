"""What closes a run, or an export of one: archive, elites, report, and the facts in `run.json`."""

import dataclasses
import importlib.metadata
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from jax.sharding import Mesh

from qd_fool.elites import write_elites
from qd_fool.errors import UserError
from qd_fool.experiments.evolve_config import EvolvePlan
from qd_fool.files import write_json
from qd_fool.map_elites import EvolutionState
from qd_fool.report.page import write_report
from qd_fool.runs import SCHEMA, read_run, write_archive

PACKAGES = ("qd-fool", "jax", "jaxlib", "flax", "numpy", "orbax-checkpoint", "pillow")


def names_in(run_dir: Path) -> set[str]:
    """What a directory for a run holds; nothing where there is none yet.

    Raises:
      UserError: it is no directory, or can't be read.
    """
    try:
        return {path.name for path in run_dir.iterdir()}
    except FileNotFoundError:
        return set()
    except NotADirectoryError as error:
        raise UserError(
            f"--run-dir {run_dir} is, or is in, a file: expected a directory"
        ) from error
    except OSError as error:
        raise UserError(f"--run-dir {run_dir}: cannot be read ({error.strerror})") from error


def make_run_dir(run_dir: Path, *, flag: str = "--run-dir") -> None:
    """Make a directory, and those above it, unless it is there.

    Raises:
      UserError: it can't be made; names the flag.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{flag} {run_dir}: cannot be made ({error.strerror})") from error


@contextmanager
def sole_user(run_dir: Path) -> Iterator[None]:
    """Hold a run directory for as long as the block runs; the lock dies with its process.

    Raises:
      UserError: another process has it.
    """
    lock = FileLock(run_dir / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(f"{run_dir} is in use by another process") from error
    try:
        yield
    finally:
        lock.release()


def run_record(planned: EvolvePlan, mesh: Mesh) -> dict[str, Any]:
    """`run.json` of a run that begins: what is run, on what, with which versions."""
    device = mesh.devices.flat[0]
    return {
        "schema": SCHEMA,
        "status": "running",
        "config": planned.record,
        "generations": planned.generations,
        "encoding_settings": dataclasses.asdict(planned.encoding.settings),
        "image_shape": planned.encoding.image_shape,
        "classes": len(planned.scorer.class_names),
        "weights": planned.scorer.weights,
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in PACKAGES},
        },
        "device": {
            "kind": device.device_kind,
            "platform": device.platform,
            "count": mesh.devices.size,
            "machine": platform.machine(),
        },
    }


def write_results(
    run_dir: Path, planned: EvolvePlan, state: EvolutionState, *, facts: dict[str, Any]
) -> float:
    """Write `archive.npz`, `elites/`, `elites.csv`, `run.json`, the report and the contact sheet.

    Args:
      run_dir: with a `run.json`, to which the facts are added.
      planned: as the run was evolved.
      state: on the host.
      facts: for `run.json`.

    Returns:
      The largest difference between an elite's confidence and that of its PNG, read from disk.
    """
    write_archive(run_dir, state)
    difference = write_elites(
        run_dir,
        state,
        scorer=planned.scorer,
        encoding=planned.encoding,
        score=planned.score,
        chunk=planned.map_elites.chunk,
    )
    done = int(state.generation)
    facts = {
        "status": "finished" if done > planned.generations else "interrupted",
        "generations_done": done - 1,
        "evaluations": planned.evaluations(done - 1) if done else 0,
        **facts,
        "png_rescored_max_difference": difference,
    }
    write_json(run_dir / "run.json", read_run(run_dir) | facts)
    write_report(run_dir)
    return difference
