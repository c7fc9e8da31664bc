"""What closes a run, or an export of one: archive, elites, report, and the facts in `run.json`."""

import dataclasses
import importlib.metadata
import platform
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.files import write_json
from qd_fool.map_elites.state import EvolutionState
from qd_fool.models.class_names import label_set
from qd_fool.report.page.write import write_report
from qd_fool.runs.archive_npz import write_archive
from qd_fool.runs.directory import SCHEMA, read_run
from qd_fool.runs.elites import write_elites

PACKAGES = ("qd-fool", "jax", "jaxlib", "flax", "numpy", "orbax-checkpoint", "pillow")


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
        "labels": label_set(planned.scorer.class_names, planned.scorer.wnids),
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
