"""Shared parts of the benchmarks: interleaved timing, the machine's name, tables."""

import datetime
import json
import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.devices.chunks import map_chunks
from qd_fool.devices.mesh import AXIS, make_mesh, replicate
from qd_fool.map_elites.division import plan_tuning
from qd_fool.map_elites.segments import make_segment
from qd_fool.map_elites.state import init
from qd_fool.models import Scorer

HERE = Path(__file__).parent


def machine() -> str:
    """Processor, cores and versions, in one line."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        models = [
            x.split(":")[1].strip() for x in info.read_text().splitlines() if "model name" in x
        ]
        name = models[0] if models else name
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, Python {platform.python_version()}, jax {jax.__version__}"


def forward_call(scorer: Scorer, *, chunk: int, pictures: int) -> Callable[[], Any]:
    """A call that runs pictures through a network, over all devices, as the search does.

    Args:
      scorer: The network.
      chunk: Pictures that a device takes at once.
      pictures: Number of pictures, a multiple of the chunk on each device.
    """
    mesh, side = make_mesh(), scorer.input_size
    shape = (pictures, side, side, scorer.image_shape[2])
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    def forward(params: Any, x: Any) -> Any:
        return scorer.apply(params, scorer.preprocess(x.astype(jnp.float32)))

    call = jax.jit(
        jax.shard_map(
            lambda params, x: map_chunks(lambda part: forward(params, part), x, chunk=chunk),
            mesh=mesh,
            in_specs=(PartitionSpec(), PartitionSpec(AXIS)),
            out_specs=PartitionSpec(AXIS),
            check_vma=False,
        )
    )
    params = replicate(scorer.params, mesh)
    placed = jax.device_put(images, NamedSharding(mesh, PartitionSpec(AXIS)))
    return lambda: jax.block_until_ready(call(params, placed))


def evolution_call(planned: EvolvePlan, *, length: int, evaluations: int = 0) -> Callable[[], Any]:
    """A call that runs generations of an evolution, over all devices.

    Args:
      planned: The run. Its generations end with the evaluations before the first call.
      length: Generations per call.
      evaluations: Evaluations to run before this function returns, about.
    """
    subject, settings, mesh = planned.subject, planned.map_elites, make_mesh()
    segment = make_segment(subject.scorer, subject.encoding, settings, mesh=mesh, length=length)
    params = replicate(subject.scorer.params, mesh)
    before = 0
    while planned.evaluations(before) < evaluations:
        before += 1
    cells = len(subject.scorer.class_names)
    blank = init(subject.encoding, cells, seed=0, feedback=settings.feedback)
    state = replicate(plan_tuning(blank, config=settings, generations=before), mesh)

    def call() -> Any:
        nonlocal state
        state, log = segment(state, params, np.int32(length))
        return log

    for _ in range(-(-before // length)):
        jax.block_until_ready(call())  # many programs in flight can block each other on a CPU
    return call


def interleaved(runs: Mapping[str, Callable[[], Any]], *, rounds: int) -> dict[str, list[float]]:
    """The seconds of each run, `rounds` times. Runs take turns, so noise affects all equally."""
    for run in runs.values():
        jax.block_until_ready(run())
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            started = time.perf_counter()
            jax.block_until_ready(run())
            seconds[name].append(time.perf_counter() - started)
    return seconds


def finished(run_dir: Path) -> bool:
    """Whether the run in a directory is finished."""
    run = run_dir / "run.json"
    return run.exists() and json.loads(run.read_text(encoding="utf-8"))["status"] == "finished"


def first(passed: np.ndarray) -> int | str:
    """The first generation at which a condition holds; "-" if there is none."""
    return int(np.argmax(passed)) if passed.any() else "-"


def median_ratio(a: Sequence[float], b: Sequence[float]) -> float:
    """The median over rounds of a / b, where each pair was measured in one round."""
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def report(name: str, rows: Sequence[Mapping[str, Any]], *, words: str) -> None:
    """Print one JSON line per row, and write `benchmarks/<name>.md` with command, machine, date."""
    for row in rows:
        print(json.dumps({"benchmark": name, **row}))
    columns = list(rows[0])
    lines = [
        f"# {name}",
        "",
        words,
        "",
        f"`{shlex.join(['python', f'benchmarks/{Path(sys.argv[0]).name}', *sys.argv[1:]])}`  ",
        f"{machine()}; {datetime.date.today().isoformat()}",
        "",
        "| " + " | ".join(columns) + " |",
        "|" + "---|" * len(columns),
        *("| " + " | ".join(str(row[c]) for c in columns) + " |" for row in rows),
        "",
    ]
    (HERE / f"{name}.md").write_text("\n".join(lines), encoding="utf-8")
