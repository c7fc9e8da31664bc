"""`qd-fool ascend`: gradient ascent with a run directory, progress and resume."""

import dataclasses
import functools
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from qd_fool.ascent.blocks import ascend_block, block_size, evaluations_of
from qd_fool.ascent.segments import SEGMENT, Ascent, make_ascent
from qd_fool.commands.ascend.blocks import BLOCKS, drop_blocks, read_blocks, write_block
from qd_fool.commands.ascend.config import AscendConfig
from qd_fool.commands.ascend.plan import AscendPlan, plan_ascent
from qd_fool.commands.ascend.results import write_ascent
from qd_fool.commands.ascend.resume import ascent_dir, check_ascent_resumable
from qd_fool.commands.ascend.starts import MakeStarts, make_starts
from qd_fool.commands.ascend.table import print_table
from qd_fool.commands.common.progress import LOG_SECONDS
from qd_fool.commands.common.signals import stop_on_signal
from qd_fool.commands.evolve.results import run_record
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.errors import UserError
from qd_fool.files import write_json
from qd_fool.runs.directory import make_run_dir, names_in, read_run, sole_user
from qd_fool.scoring.confidence import confidence_of

SEGMENT_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class AscendResult:
    """What a call of `ascend_run` came to.

    Attributes:
      run_dir: where everything is.
      rows: of the table, as in ascent.csv; of the targets that are finished.
      interrupted: whether Ctrl-C (or SIGTERM) ended it early.
      rescore_difference: largest difference between an elite's confidence and that of its PNG.
    """

    run_dir: Path
    rows: list[dict[str, Any]]
    interrupted: bool
    rescore_difference: float


def ascend_run(config: AscendConfig, *, console: Console) -> AscendResult:
    """Climb toward classes, or go on with it, until all are done or Ctrl-C.

    Raises:
      UserError: bad settings, a directory in use, NaN scores. Nothing is overwritten.
    """
    run_dir = ascent_dir(config)
    resuming = _is_resumable(run_dir, resume=config.resume)
    planned = plan_ascent(config)
    stored = check_ascent_resumable(run_dir, planned) if resuming else None
    if stored and stored.get("status") == "finished":
        raise UserError(f"{run_dir} is finished: there is nothing to go on with")
    mesh, evolve = make_mesh(config.devices), planned.evolve
    # Whatever these raise about bad input, they raise before the directory is touched.
    ascent = make_ascent(evolve.scorer, evolve.encoding, planned.ascent, mesh=mesh)
    starts = make_starts(
        evolve.scorer,
        evolve.encoding,
        planned.classes,
        planned.starts,
        source=planned.source,
        start=planned.config.start,
        seed=planned.config.seed,
        chunk=planned.ascent.chunk,
    )
    say = functools.partial(console.print, highlight=False, soft_wrap=True, markup=False)
    device = mesh.devices.flat[0]
    say(
        f"climbing {planned.ascent.objective} of {evolve.scorer.name} ({evolve.scorer.weights}): "
        f"{len(planned.classes)} targets, {planned.ascent.iterations} iterations, on "
        f"{mesh.devices.size} x {device.device_kind} ({device.platform}), into {run_dir}"
    )
    make_run_dir(run_dir)
    with sole_user(run_dir):
        record = run_record(evolve, mesh) | {"kind": "ascent", "ascent": planned.record}
        write_json(run_dir / "run.json", record | {"seconds": (stored or {}).get("seconds", 0.0)})
        interrupted = _climb(planned, ascent, starts, run_dir, console)
        return _finish(planned, run_dir, starts, interrupted=interrupted, console=console)


def _is_resumable(run_dir: Path, *, resume: bool) -> bool:
    """Whether there is an ascent to go on with; refuses what would overwrite something."""
    names = names_in(run_dir)
    # What a run that was killed before its first write leaves behind is as good as nothing.
    if names <= {".lock", ".run.partial.json"}:
        return False
    if resume:
        return True
    raise UserError(
        f"--run-dir {run_dir} exists and is not empty: pass --resume to go on with the ascent "
        "in it, or choose another"
    )


def _climb(
    planned: AscendPlan, ascent: Ascent, starts: MakeStarts, run_dir: Path, console: Console
) -> bool:
    """Blocks of targets until all are done or a signal came; True if it did."""
    first = starts(np.arange(1))
    finished, _ = read_blocks(run_dir, first[0])
    left = np.setdiff1d(np.arange(len(planned.classes), dtype=np.int32), finished)
    if finished.size:
        console.print(f"{finished.size} targets are done already", highlight=False)
    if not left.size:
        return False
    params = replicate(planned.evolve.scorer.params, ascent.mesh)
    size = block_size(ascent, *first, targets=len(left), block=planned.config.block)
    seconds = float(read_run(run_dir)["seconds"])
    total = len(left) * planned.ascent.iterations
    with stop_on_signal() as stop, _bar(console, total=total) as bar:
        for i in range(0, len(left), size):
            some = left[i : i + size]
            genomes, values = starts(some)
            begun = time.perf_counter()
            result = ascend_block(
                ascent,
                params,
                genomes,
                values,
                planned.classes[some],
                size=size,
                count=bar.counter(stop, before=i * planned.ascent.iterations, targets=len(some)),
            )
            if result is None:
                return True
            seconds += time.perf_counter() - begun
            write_block(run_dir, some, result)
            write_json(run_dir / "run.json", read_run(run_dir) | {"seconds": round(seconds, 3)})
            if stop and i + size < len(left):
                return True
    return False


class _bar:
    """Progress for people: a bar on a terminal, a line now and then in a log."""

    def __init__(self, console: Console, *, total: int) -> None:
        self._console = console
        self._total = total
        columns = (
            TextColumn("iterations"),
            MofNCompleteColumn(),
            BarColumn(),
            TextColumn("{task.fields[info]}"),
            TextColumn("ETA"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._task: TaskID = self._progress.add_task("ascend", total=total, info="")
        self._last_line = time.monotonic()

    def __enter__(self) -> "_bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def counter(
        self, stop: list[int], *, before: int, targets: int
    ) -> Callable[[int, np.ndarray | None], int]:
        """How `ascend_block` asks how far to go: about a second, and nowhere after a signal."""
        started = time.perf_counter()
        last, count = 0, 1

        def ask(done: int, latest: np.ndarray | None) -> int:
            nonlocal started, last, count
            if latest is None:
                return 0 if stop else count
            elapsed = time.perf_counter() - started
            # The first call compiled, and tells nothing of the pace.
            if last:
                wanted = int(SEGMENT_SECONDS * (done - last) / max(elapsed, 1e-6))
                count = max(1, min(wanted, SEGMENT))
            started, last = time.perf_counter(), done
            confidence = float(np.median(confidence_of(latest[:, -1])))
            self._show(before + done * targets, f"median {confidence:.6f}")
            return 0 if stop else count

        return ask

    def _show(self, done: int, info: str) -> None:
        self._progress.update(self._task, completed=done, info=info)
        if not self._console.is_terminal and time.monotonic() - self._last_line >= LOG_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(f"{done} of {self._total} iterations  {info}", highlight=False)


def _finish(
    planned: AscendPlan,
    run_dir: Path,
    starts: MakeStarts,
    *,
    interrupted: bool,
    console: Console,
) -> AscendResult:
    say = functools.partial(console.print, highlight=False, soft_wrap=True, markup=False)
    command = shlex.join(["qd-fool", "ascend", "--resume", "--run-dir", str(run_dir)])
    targets, result = read_blocks(run_dir, starts(np.arange(1))[0])
    status = {"status": "interrupted" if interrupted else "finished"}
    if result is None:
        write_json(run_dir / "run.json", read_run(run_dir) | status)
        say(f"interrupted before any was finished; start over with: {command}")
        return AscendResult(run_dir, [], True, 0.0)
    targets, result = _in_order(targets, result)
    say(f"writing the pictures, and scoring them again, into {run_dir}")
    seconds = float(read_run(run_dir)["seconds"])
    rows, _, difference = write_ascent(
        run_dir, planned, targets, result, facts=status | {"seconds": seconds}
    )
    if not interrupted and (run_dir / BLOCKS).is_dir():
        drop_blocks(run_dir)
    print_table(console, rows, most=planned.ascent.iterations)
    evaluations = evaluations_of(planned.ascent.iterations, len(targets))
    say(
        f"{evaluations:,} counted evaluations in {seconds:.1f} s, to compile included; PNGs scored "
        f"again from disk: confidence differs by at most {difference:.1g}"
    )
    say(f"look at {run_dir / 'report.html'}")
    if interrupted:
        say(f"interrupted, {len(targets)} of {len(planned.classes)} done; go on with: {command}")
    return AscendResult(run_dir, rows, interrupted, difference)


def _in_order(targets: Int[np.ndarray, " n"], result: Any) -> tuple[Any, Any]:
    """By target: blocks of a resumed run may be cut otherwise, and are told by their first."""
    order = np.argsort(targets, kind="stable")
    by_target = {
        "log_odds": result.log_odds[:, order],
        "merit": result.merit[:, order],
        "top": result.top[:, order],
        "genomes": jax.tree.map(lambda a: a[order], result.genomes),
    }
    for name in ("best_log_odds", "best_iteration", "norm", "distance"):
        by_target[name] = getattr(result, name)[order]
    return targets[order], dataclasses.replace(result, **by_target)
