"""From many targets to blocks that fit into memory, and back; a whole ascent in one call."""

from collections.abc import Callable, Sequence
from typing import Any, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Int, PyTree

from qd_fool.ascent import SEGMENT, Ascent, make_ascent, variables_of
from qd_fool.ascent_config import AscentConfig
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.mesh import AXIS, make_mesh, replicate
from qd_fool.models import Scorer
from qd_fool.models.scorer import default_chunk

MEMORY = 2**30
"""Bytes that the targets of a block take, at most about, beside what the network needs."""


CHUNKS = 16
"""Chunks a device and block, at most: what is lost when a run is cut off."""


@no_type_check  # likewise
@flax.struct.dataclass
class AscentResult:
    """Targets at the end, on the host.

    Attributes:
      genomes: `(n, ...)` of the best iterate of each.
      best_log_odds: `(n,)` of its class.
      best_iteration: `(n,)`.
      log_odds: `(iterations, n)` of each iterate's class, in the 8-bit picture.
      merit: `(iterations, n)` by which the best was chosen: log-odds, or the output of a unit.
      top: `(iterations, n)` whether that class was the most confident.
      norm: `(n,)` Euclidean, of the last iterate's unrounded picture minus the network's mean.
      distance: `(n,)` likewise from the start.
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
    """Targets to hand to the devices at once: whole chunks for each.

    Args:
      ascent: the compiled parts.
      genomes: of any number of targets.
      values: likewise.
      targets: how many there are.
      block: how many are wanted, at least; None for what `MEMORY` and `CHUNKS` allow.
    """
    unit = ascent.config.chunk * ascent.mesh.devices.size

    def of_unit(a: Any) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((unit, *a.shape[1:]), a.dtype)

    given = jax.tree.map(of_unit, (genomes, values))
    state = jax.eval_shape(ascent.begin, *given)
    size = sum(a.size * a.dtype.itemsize for a in jax.tree.leaves((given, state)))
    most = min(CHUNKS, max(1, MEMORY // size)) if block is None else -(-block // unit)
    units = -(-targets // unit)
    # As equal as can be: what a block lacks is filled up with copies.
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
    """Some targets, from their starts to their last iteration.

    Args:
      ascent: the compiled parts.
      params: the network's, replicated over the mesh.
      genomes: `(n, ...)` starts.
      values: `(n, size)` starts of what is moved.
      classes: `(n,)`.
      size: from `block_size`; at least n.
      count: `(iterations done, log-odds (n, iterations of the last call) or None) -> iterations
        to do now`, at most `SEGMENT`; 0 to give up. Called before each segment and after the last.

    Returns:
      What came of it; None where it was given up.

    Raises:
      UserError: NaN or infinite scores.
    """
    n = len(classes)
    split = NamedSharding(ascent.mesh, PartitionSpec(AXIS))

    def fill(a: Any) -> Array:
        a = np.asarray(a)
        full = np.concatenate([a, np.repeat(a[:1], size - n, axis=0)])
        return jax.device_put(full, split)

    genomes, values, classes = jax.tree.map(fill, (genomes, values, classes))
    state = ascent.begin(genomes, values)
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
            state, genomes, classes, params, *map(np.int32, (done, now, total - 1))
        )
        latest = np.asarray(logs[0])[:n, :now]
        if not np.isfinite(latest).all():
            iteration = done + int(np.argmax(~np.isfinite(latest).all(axis=0)))
            raise UserError(
                f"the network gave NaN or infinite scores, first in iteration {iteration}: check "
                "its weights and preprocessing"
            )
        for part, log in zip(parts, logs, strict=True):
            part.append(np.asarray(log)[:n, :now].T)
        done += now
    norm, distance = ascent.finish(state, genomes, values)
    best = jax.tree.map(lambda a: np.asarray(a)[:n], state.best)
    return AscentResult(
        genomes=best,
        best_log_odds=np.asarray(state.best_log_odds)[:n],
        best_iteration=np.asarray(state.best_iteration)[:n],
        log_odds=np.concatenate(parts[0]),
        merit=np.concatenate(parts[1]),
        top=np.concatenate(parts[2]),
        norm=np.asarray(norm)[:n],
        distance=np.asarray(distance)[:n],
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
    """Counted: an iteration, forward and backward, as four (measured 3.9), the last one too."""
    return 4 * targets * iterations


def ascend(
    scorer: Scorer,
    encoding: Encoding,
    classes: Sequence[int] | Int[np.ndarray, " n"],
    *,
    config: AscentConfig | None = None,
    genomes: PyTree[Any] | None = None,
    values: Any = None,
    seed: int = 0,
    devices: int | None = None,
    rule: optax.GradientTransformation | None = None,
) -> AscentResult:
    """Climb toward classes, in memory.

    Args:
      scorer: from `load_scorer`.
      encoding: from `make_encoding`; of pixels with `genes="int", color="rgb"`, or "gray".
      classes: `(n,)`, one a target; a class may occur more than once.
      config: today's baseline by default, with the scorer's own chunk size.
      genomes: `(n, ...)` starts; random ones by default.
      values: `(n, size)` starts of what is moved; what is in the genomes by default.
      seed: of random genomes, which are the same for the same class and the same occurrence of it.
      devices: how many of the local devices to use; all by default. Does not change the result.
      rule: any optimiser of optax's, instead of the configuration's.

    Returns:
      The best iterate of each target as a genome, and the log-odds of all.

    Raises:
      UserError: bad settings, no such class, NaN scores.
    """
    config = config or AscentConfig(chunk=default_chunk(scorer))
    wanted = np.asarray(classes, np.int32)
    known = len(scorer.class_names)
    wrong = wanted[(wanted < 0) | (wanted >= known)]
    if wrong.size or not wanted.size:
        found = int(wrong[0]) if wrong.size else "none"
        raise UserError(f"class is {found}: {scorer.name} has classes 0 to {known - 1}")
    if genomes is None:
        genomes = encoding.init(target_keys(seed, wanted, occurrences(wanted)))
    if values is None:
        values = variables_of(encoding).take(genomes)
    mesh = make_mesh(devices)
    ascent = make_ascent(scorer, encoding, config, mesh=mesh, rule=rule)
    params = replicate(scorer.params, mesh)
    size = block_size(ascent, genomes, values, targets=len(wanted))
    parts = []
    for i in range(0, len(wanted), size):
        some = slice(i, i + size)
        part = ascend_block(
            ascent,
            params,
            jax.tree.map(lambda a, some=some: a[some], genomes),
            values[some],
            wanted[some],
            size=size,
            count=lambda done, latest: SEGMENT,
        )
        assert part is not None  # noqa: S101  (nobody gives up)
        parts.append(part)
    return join_results(parts)


def occurrences(classes: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """How many of the same class came before: 0, 0, 1 for 3, 5, 3."""
    seen: dict[int, int] = {}
    before = []
    for k in classes.tolist():
        before.append(seen.get(k, 0))
        seen[k] = before[-1] + 1
    return np.asarray(before, np.int32)


def target_keys(seed: int, classes: Any, starts: Any) -> Array:
    """fold_in(fold_in(seed, class), start): a target's own, whatever else is climbed with it."""
    # Threefry by name: a user's jax_default_prng_impl must not change results.
    key = jax.random.key(np.uint32(seed), impl="threefry2x32")

    def one(k: Array, start: Array) -> Array:
        return jax.random.fold_in(jax.random.fold_in(key, k), start)

    return jax.vmap(one)(jnp.asarray(classes, jnp.int32), jnp.asarray(starts, jnp.int32))
