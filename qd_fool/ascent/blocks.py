"""Blocks of targets that fit into memory, and their results joined again."""

from collections.abc import Callable, Sequence
from typing import Any, no_type_check

import flax.struct
import jax
import numpy as np
from jaxtyping import Array, PyTree

from qd_fool.ascent.segments import SEGMENT, Ascent
from qd_fool.devices.mesh import split
from qd_fool.devices.processes import gather
from qd_fool.errors import UserError
from qd_fool.scoring.bad import is_bad

MEMORY = 2**30
"""Bytes that the targets of a block may take, about. The network's memory comes on top."""

CHUNKS = 16
"""Most chunks per device and block. A run that is cut off loses the block that it works on."""


@no_type_check  # leaves are NumPy arrays on the host, or PyTrees of them
@flax.struct.dataclass
class AscentResult:
    """Results of targets after their last iteration, on the host.

    Attributes:
      genomes: `(n, ...)` genomes of the best iterates.
      best_log_odds: `(n,)` log-odds of the target's class in the best iterates.
      best_iteration: `(n,)` iterations of the best iterates.
      log_odds: `(iterations, n)` log-odds of the target's class in the 8-bit picture of each
        iterate.
      merit: `(iterations, n)` merits that decide which iterate is the best: log-odds, or a unit's
        output.
      top: `(iterations, n)` whether the target's class was the most confident.
      norm: `(n,)` Euclidean norms of the last unrounded picture minus the network's mean.
      distance: `(n,)` Euclidean distances of the last unrounded picture from the first.
    """

    genomes: PyTree[Any]
    best_log_odds: Any
    best_iteration: Any
    log_odds: Any
    merit: Any
    top: Any
    norm: Any
    distance: Any


def block_size(
    ascent: Ascent, genomes: PyTree[Any], values: Any, *, targets: int, block: int | None = None
) -> int:
    """Return the number of targets per block: whole chunks for each device.

    Args:
      ascent: Compiled parts of the ascent.
      genomes: Genomes of any number of targets.
      values: Values of any number of targets.
      targets: Number of all targets.
      block: Smallest number of targets per block; by default as many as `MEMORY` and `CHUNKS`
        allow.
    """
    # A unit is one chunk per device. Measure the bytes of a unit without computing anything.
    unit = ascent.config.chunk * ascent.mesh.devices.size

    def of_unit(a: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((unit, *a.shape[1:]), a.dtype)

    given = jax.tree.map(of_unit, (genomes, values))
    state = jax.eval_shape(ascent.begin, *given)
    size = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves((given, state)))
    most = min(CHUNKS, max(1, MEMORY // size)) if block is None else -(-block // unit)
    units = -(-targets // unit)

    # Blocks as equal as possible, because missing targets are filled up with copies.
    return -(-units // -(-units // most)) * unit


def ascend_block(
    ascent: Ascent,
    params: PyTree[Array],
    genomes: PyTree[Any],
    values: Any,
    classes: Any,
    *,
    size: int,
    count: Callable[[int, np.ndarray | None], int],
) -> AscentResult | None:
    """Climb with a block of targets, from their starts to their last iteration.

    Args:
      ascent: Compiled parts of the ascent.
      params: Parameters of the network, replicated over the mesh.
      genomes: `(n, ...)` genomes to start from.
      values: `(n, size)` values to start from.
      classes: `(n,)` classes of the targets.
      size: Size of the block, from `block_size`; at least n.
      count: Function `(iterations done, log-odds (n, iterations of the last call) or None) ->
        iterations to do now`, at most `SEGMENT`; 0 to give up. It is called before each segment
        and after the last.

    Returns:
      The results; None if `count` gave up.

    Raises:
      UserError: A score is NaN or infinite, or another process has ended.
    """
    # Fill the block up with copies of the first target, and split it over devices.
    n = len(classes)

    def fill(a: Any) -> np.ndarray:
        a = np.asarray(a)
        return np.concatenate([a, np.repeat(a[:1], size - n, axis=0)])

    targets = jax.tree.map(fill, (genomes, values, classes))
    genomes, values, shared_classes = split(targets, ascent.mesh)
    state = ascent.begin(genomes, values)

    # Climb segment by segment. Each segment's log goes to the host, without the copies and without
    # the iterations that did not run.
    done, total = 0, ascent.config.iterations
    parts: list[list[np.ndarray]] = [[], [], []]
    latest = None
    while True:
        now = min(count(done, latest), SEGMENT, total - done)
        if done == total:
            break
        if now < 1:
            return None
        state, *logs = ascent.segment(
            state, genomes, shared_classes, params, *map(np.int32, (done, now, total - 1))
        )
        logs = gather(logs)
        latest = logs[0][:n, :now]
        masked = np.flatnonzero((latest == -np.inf).any(axis=1))
        if len(masked):
            raise UserError(
                f"class {classes[masked[0]]} is masked by the network, whose logit for it is -inf: "
                "no picture can climb toward it"
            )
        if is_bad(latest).any():
            iteration = done + int(np.argmax(is_bad(latest).any(axis=0)))
            raise UserError(
                f"the network gave NaN or infinite scores, first in iteration {iteration}: check "
                "its weights and preprocessing"
            )
        for part, log in zip(parts, logs, strict=True):
            part.append(log[:n, :now].T)
        done += now

    # Measure the last pictures, and bring everything to the host.
    measures = ascent.finish(state, genomes, values)
    best = (state.best, state.best_log_odds, state.best_iteration)
    *best, norm, distance = jax.tree.map(lambda a: a[:n], gather((*best, *measures)))
    return AscentResult(
        genomes=best[0],
        best_log_odds=best[1],
        best_iteration=best[2],
        log_odds=np.concatenate(parts[0]),
        merit=np.concatenate(parts[1]),
        top=np.concatenate(parts[2]),
        norm=norm,
        distance=distance,
    )


def join_results(parts: Sequence[AscentResult]) -> AscentResult:
    """Put blocks of targets together, in order."""
    whole = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=axis)
        for name, axis in (
            ("best_log_odds", 0),
            ("best_iteration", 0),
            ("log_odds", 1),
            ("merit", 1),
            ("top", 1),
            ("norm", 0),
            ("distance", 0),
        )
    }
    genomes = jax.tree.map(lambda *leaves: np.concatenate(leaves), *(p.genomes for p in parts))
    return AscentResult(genomes=genomes, **whole)


def evaluations_of(iterations: int, targets: int) -> int:
    """Count the evaluations of an ascent.

    Every iteration, the last one too, has a forward and a backward pass, and counts as four
    evaluations (measured 3.9).

    Args:
      iterations: Number of iterations.
      targets: Number of targets.
    """
    return 4 * targets * iterations
