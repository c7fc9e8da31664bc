"""The loop of an ascent: climb and save one block of targets after another."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from qd_fool.ascent.blocks import ascend_block, block_size
from qd_fool.ascent.segments import SEGMENT, Ascent
from qd_fool.commands.ascend.blocks import read_blocks, write_block
from qd_fool.commands.ascend.plan import AscendPlan
from qd_fool.commands.ascend.starts import MakeStarts
from qd_fool.commands.common.pace import next_count
from qd_fool.commands.common.progress import Bar, Stretch, progress_bar
from qd_fool.commands.common.record import update_record
from qd_fool.commands.common.signals import Stop, active_stop
from qd_fool.devices.lockstep import Lockstep
from qd_fool.devices.mesh import replicate
from qd_fool.runs.directory import read_run
from qd_fool.scoring.confidence import confidence_of


def climb_blocks(
    planned: AscendPlan,
    ascent: Ascent,
    starts: MakeStarts,
    run_dir: Path | None,
    *,
    steps: Lockstep,
    console: Console,
    stretch: Stretch | None = None,
) -> bool:
    """Climb until all targets are done or a signal came.

    Args:
      planned: Plan of the ascent.
      ascent: Compiled parts of the ascent.
      starts: Function that makes the starts of targets.
      run_dir: Directory of the run, where each finished block is saved; None in a process that
        follows another one, which saves nothing.
      steps: Steps of all processes.
      console: Console for the progress.
      stretch: Stretch of a larger command's bar to fill.

    Returns:
      Whether a signal came before all targets were done.

    Raises:
      UserError: The network gave NaN or infinite scores, or another process has ended.
    """
    # Find the targets that are left.
    waiting = np.ones(len(planned.classes), bool)
    if run_dir is not None:
        finished, _ = read_blocks(run_dir, planned.subject.encoding)
        waiting[finished] = False
        if finished.size:
            console.print(f"{finished.size} targets are done already")
    left = np.flatnonzero(steps.share(waiting)).astype(np.int32)
    if not left.size:
        return False

    # Cut them into blocks that fit into memory.
    size = block_size(ascent, *starts(np.arange(1)), targets=len(left), block=planned.config.block)
    params = replicate(planned.subject.scorer.params, ascent.mesh)
    seconds = 0.0 if run_dir is None else float(read_run(run_dir)["seconds"])
    each = planned.ascent.iterations
    stop = active_stop()
    with progress_bar(console, "iteration", total=len(left) * each, stretch=stretch) as bar:
        for i in range(0, len(left), size):
            # Climb. A signal drops the unfinished block.
            targets = left[i : i + size]
            genomes, values = starts(targets)
            begun = time.perf_counter()
            result = ascend_block(
                ascent,
                params,
                genomes,
                values,
                planned.classes[targets],
                size=size,
                count=_pace(bar, stop, steps, before=i * each, targets=len(targets)),
            )
            if result is None:
                return True

            # Save the block.
            seconds += time.perf_counter() - begun
            if run_dir is not None:
                write_block(run_dir, targets, result)
                update_record(run_dir, {"seconds": round(seconds, 3)})
            if i + size < len(left) and steps.stops():
                return True
    return False


def _pace(
    bar: Bar, stop: Stop, steps: Lockstep, *, before: int, targets: int
) -> Callable[[int, np.ndarray | None], int]:
    """The iterations per call of `ascend_block`: about a second's, 0 after a signal.

    The number is that of process 0.

    Args:
      bar: Progress bar of all blocks.
      stop: True once a signal came.
      steps: Steps of all processes.
      before: Iterations of the blocks before this one.
      targets: Number of targets in this block.
    """
    started, last, count = time.perf_counter(), 0, 1

    def ask(done: int, latest: np.ndarray | None) -> int:
        nonlocal started, last, count
        if latest is not None:
            # The first call includes compilation, so its time says nothing about the pace.
            if last:
                count = next_count(done - last, time.perf_counter() - started, most=SEGMENT)
            started, last = time.perf_counter(), done
            median = float(np.median(confidence_of(latest[:, -1])))
            bar.update(before + done * targets, f"median {median:.6f}")
        return steps.next(0 if stop else count)

    return ask
