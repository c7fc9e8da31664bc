"""Gradient ascent on the kernel: pictures, or the weights of a CPPN, climb toward a class.

Source: paper, section 2.3 and figures 12-13; caffe/ascent/find_fooling_image.py of the original
code (branch `ascent`). As there an iteration clips, looks, notes, and then steps. Unlike there the
network is always shown the 8-bit picture that would be saved, with the gradient of the unrounded
one, so that what is noted is true of the file; and the best iterate is kept.

Everything here is pure but `ascend`, which asks for devices; no clock, no file.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PyTree

from qd_fool import ascent_rules
from qd_fool.ascent_config import AscentConfig
from qd_fool.chunks import map_chunks
from qd_fool.encodings import Encoding
from qd_fool.encodings.base import Variables
from qd_fool.errors import UserError
from qd_fool.kernel import check_crops, log_odds_and_layer
from qd_fool.mesh import AXIS, make_mesh, replicate
from qd_fool.models import Scorer
from qd_fool.models.scorer import default_chunk
from qd_fool.objectives import read_objective, to_climb

SEGMENT = 64
"""Iterations a call, at most."""

MEMORY = 2**30
"""Bytes that the targets of a block take, at most about, beside what the network needs."""

CHUNKS = 16
"""Chunks a device and block, at most: what is lost when a run is cut off."""


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class AscentState:
    """Targets between two iterations.

    Attributes:
      values: `(n, size)` of each, not clipped yet.
      best: genomes `(n, ...)` of the best iterate so far.
      best_merit: `(n,)` log-odds of its class, or the unit's output where a unit is climbed.
      best_log_odds: `(n,)` of its class.
      best_iteration: `(n,)`.
      optimiser: the step rule's, `(n, ...)`.
    """

    values: Float[Array, "n size"]
    best: PyTree[Array]
    best_merit: Float[Array, " n"]
    best_log_odds: Float[Array, " n"]
    best_iteration: Int[Array, " n"]
    optimiser: PyTree[Array]


@no_type_check  # likewise
@flax.struct.dataclass
class AscentResult:
    """Targets at the end, on the host.

    Attributes:
      genomes: `(n, ...)` of the best iterate of each.
      best_log_odds: `(n,)` of its class.
      best_iteration: `(n,)`.
      log_odds: `(iterations, n)` of each iterate's class, in the 8-bit picture.
      top: `(iterations, n)` whether that class was the most confident.
      norm: `(n,)` Euclidean, of the last iterate's unrounded picture minus the network's mean.
      distance: `(n,)` likewise from the start.
    """

    genomes: PyTree[Any]
    best_log_odds: Any
    best_iteration: Any
    log_odds: Any
    top: Any
    norm: Any
    distance: Any


def straight_through(smooth: Array, exact: Array) -> Array:
    """`exact`, with the gradient of `smooth`; not by addition, which would round."""
    return _straight_through(smooth, exact)


@jax.custom_jvp
def _straight_through(smooth: Array, exact: Array) -> Array:
    return exact


@_straight_through.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    return primals[1], tangents[0]


def variables_of(encoding: Encoding) -> Variables:
    """What can be moved in an encoding's genomes.

    Raises:
      UserError: nothing.
    """
    if encoding.variables is None:
        raise UserError(f"the {encoding.name} encoding has nothing that a gradient could move")
    return encoding.variables


def mean_picture(scorer: Scorer, channels: int) -> Float[np.ndarray, " channels"]:
    """A value a channel in 0..255: the picture that tells the network nothing."""
    return np.asarray(scorer.mean or (0.0,) * channels, np.float32)


def step(
    state: AscentState,
    genomes: PyTree[Array],
    classes: Int[Array, " n"],
    params: PyTree[Array],
    iteration: Int[Array, ""],
    last: Int[Array, ""],
    *,
    look: Callable[..., Any],
    rule: optax.GradientTransformationExtraArgs,
    regulariser: ascent_rules.Regulariser | None,
    variables: Variables,
    shape: tuple[int, ...],
    centre: Float[np.ndarray, " channels"],
) -> tuple[AscentState, Array, Array]:
    """One iteration of some targets: clip, look, note, step.

    Args:
      state: before it.
      genomes: the starts; what is not in `values` is theirs.
      classes: of the targets.
      params: the network's.
      iteration: from 0.
      last: the iteration after which nothing moves.
      look: from `make_look`.
      rule: of one target.
      regulariser: of one target, or None.
      variables: of the encoding.
      shape: of a picture whose values these are; of use to regularisers only.
      centre: the network's mean, likewise.

    Returns:
      The state after it; log-odds of the classes, and whether each is the most confident.
    """
    values = jnp.clip(state.values, variables.low, variables.high)
    held = variables.put(genomes, values)
    gradient, own, merit, top, doubt = look(params, genomes, values, held, classes)
    better = jnp.isfinite(merit) & (merit > state.best_merit)

    def keep(new: Array, old: Array) -> Array:
        return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    # A value's step may be long or short: the rule sees values in units of it.
    scale = variables.steps(genomes)
    scaled = gradient * scale
    updates, optimiser = jax.vmap(lambda g, s, d: rule.update(g, s, None, doubt=d))(
        -scaled, state.optimiser, doubt
    )
    moved = values + updates * scale
    if regulariser is not None:
        x = moved.reshape(-1, *shape) - centre[None, None, None]
        x = jax.vmap(regulariser, (0, 0, None))(x, gradient.reshape(x.shape), iteration)
        moved = (x + centre[None, None, None]).reshape(moved.shape)
    # The original gives up where the gradient is 0. It is that again at the next iteration.
    moves = jnp.all(jnp.isfinite(scaled), axis=1) & jnp.any(scaled != 0, axis=1)
    moves &= iteration < last

    def go(new: Array, old: Array) -> Array:
        return jnp.where(moves.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    after = AscentState(
        values=go(moved, values),
        best=jax.tree.map(keep, held, state.best),
        best_merit=keep(merit, state.best_merit),
        best_log_odds=keep(own, state.best_log_odds),
        best_iteration=keep(jnp.broadcast_to(iteration, better.shape), state.best_iteration),
        optimiser=jax.tree.map(go, optimiser, state.optimiser),
    )
    return after, own, top


def make_look(scorer: Scorer, encoding: Encoding, config: AscentConfig) -> Callable[..., Any]:
    """A forward and a backward pass, of the picture as it would be saved.

    Returns:
      `(params, genomes, values, held, classes) -> gradient (n, size), log-odds of the class (n,),
      merit (n,), is the class the most confident (n,), doubt (n,)`. Doubt is 1 - confidence, and 1
      where a unit is climbed.

    Raises:
      UserError: no such objective.
    """
    variables = variables_of(encoding)
    objective = read_objective(config.objective, scorer)

    def look(
        params: PyTree[Array],
        genomes: PyTree[Array],
        values: Array,
        held: PyTree[Array],
        classes: Array,
    ) -> tuple[Array, ...]:
        exact = encoding.render(held).astype(jnp.float32)

        def climb(values: Array) -> tuple[Array, tuple[Array, ...]]:
            images = straight_through(variables.draw(genomes, values), exact)
            odds, outputs = log_odds_and_layer(
                scorer, params, images, crops=config.crops, layer=objective.layer
            )
            own = jnp.take_along_axis(odds, classes[:, None], axis=1)[:, 0]
            height, merit = to_climb(objective, own, outputs, classes)
            return jnp.sum(height), (own, merit, jnp.argmax(odds, axis=1) == classes)

        gradient, (own, merit, top) = jax.grad(climb, has_aux=True)(values)
        doubt = jnp.ones_like(own) if objective.name == "unit" else jax.nn.sigmoid(-own)
        return gradient, own, merit, top, doubt

    return look


class Ascent(NamedTuple):
    """Compiled parts of an ascent; arrays of targets are split over devices, in whole chunks.

    Attributes:
      begin: `genomes, values -> state`.
      segment: `state, genomes, classes, params, first, count, last -> state, log_odds, top`:
        `count` iterations from `first`, at most `SEGMENT`; what they log is `(n, SEGMENT)`. After
        `last` nothing moves. The state is donated.
      finish: `state, genomes, values at the start -> norm (n,), distance (n,)`.
      mesh: of the devices.
      config: of the ascent.
    """

    begin: Callable[..., Any]
    segment: Callable[..., Any]
    finish: Callable[..., Any]
    mesh: Mesh
    config: AscentConfig


def make_ascent(
    scorer: Scorer,
    encoding: Encoding,
    config: AscentConfig,
    *,
    mesh: Mesh,
    rule: optax.GradientTransformation | None = None,
) -> Ascent:
    """The compiled parts.

    Args:
      scorer: the network.
      encoding: of the genomes.
      config: of the ascent.
      mesh: from `make_mesh`.
      rule: any optimiser of optax's, instead of the configuration's.

    Raises:
      UserError: settings that this network or encoding can't have.
    """
    check_crops(scorer, encoding.image_shape, crops=config.crops)
    variables = variables_of(encoding)
    regularisers = config.regularisers()
    if regularisers and not values_are_pixels(encoding):
        raise UserError(
            f"decay, blur and percentiles are for pixels: expected none with the {encoding.name} "
            "encoding's values"
        )
    rule_of_one = config.step_rule() if rule is None else optax.with_extra_args_support(rule)
    channels = encoding.image_shape[2]
    centre = mean_picture(scorer, channels)
    facts = {
        "look": make_look(scorer, encoding, config),
        "rule": rule_of_one,
        "regulariser": ascent_rules.chain(regularisers) if regularisers else None,
        "variables": variables,
        "shape": encoding.image_shape,
        "centre": centre,
    }

    def begin(genomes: PyTree[Array], values: Array) -> AscentState:
        worst = jnp.full(len(values), -jnp.inf, jnp.float32)
        return AscentState(
            values=values,
            best=genomes,
            best_merit=worst,
            best_log_odds=worst,
            best_iteration=jnp.full(len(values), -1, jnp.int32),
            optimiser=jax.vmap(rule_of_one.init)(values),
        )

    def segment(
        state: AscentState,
        genomes: PyTree[Array],
        classes: Array,
        params: PyTree[Array],
        first: Array,
        count: Array,
        last: Array,
    ) -> tuple[AscentState, Array, Array]:
        def of_chunk(chunk: Any) -> Any:
            state, genomes, classes = chunk

            def one(i: Array, carried: Any) -> Any:
                state, odds, tops = carried
                state, own, top = step(state, genomes, classes, params, first + i, last, **facts)
                return state, odds.at[:, i].set(own), tops.at[:, i].set(top)

            odds = jnp.zeros((len(classes), SEGMENT), jnp.float32)
            tops = jnp.zeros((len(classes), SEGMENT), bool)
            return jax.lax.fori_loop(0, count, one, (state, odds, tops))

        # Chunks outside, iterations inside: what a chunk needs stays in the cache.
        return map_chunks(of_chunk, (state, genomes, classes), chunk=config.chunk)

    def finish(state: AscentState, genomes: PyTree[Array], start: Array) -> tuple[Array, Array]:
        def of_chunk(chunk: Any) -> tuple[Array, Array]:
            genomes, last, start = chunk
            pictures = variables.draw(genomes, last)
            beyond = pictures - centre[None, None, None]
            apart = pictures - variables.draw(genomes, start)
            return _norms(beyond), _norms(apart)

        # Clipped, as the last iteration has left them.
        return map_chunks(of_chunk, (genomes, state.values, start), chunk=config.chunk)

    split, everywhere = PartitionSpec(AXIS), PartitionSpec()

    def spread(function: Callable[..., Any], specs: tuple[PartitionSpec, ...]) -> Any:
        return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)

    return Ascent(
        begin=jax.jit(spread(begin, (split, split))),
        segment=jax.jit(
            spread(segment, (*[split] * 3, *[everywhere] * 4)),
            donate_argnums=0,
        ),
        finish=jax.jit(spread(finish, (split, split, split))),
        mesh=mesh,
        config=config,
    )


def _norms(x: Float[Array, "n height width channels"]) -> Float[Array, " n"]:
    return jnp.sqrt(jnp.sum(x * x, axis=(1, 2, 3)))


def values_are_pixels(encoding: Encoding) -> bool:
    """Whether an encoding's values are its pictures', row by row, channels innermost."""
    color = getattr(encoding.settings, "color", None)
    gray = encoding.image_shape[2] == 1
    return encoding.name == "direct" and (color == "rgb" or (gray and color in ("gray", None)))


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
    odds_parts, top_parts = [], []
    latest = None
    while True:
        now = min(count(done, latest), SEGMENT, total - done)
        if done == total:
            break
        if now < 1:
            return None
        state, odds, top = ascent.segment(
            state, genomes, classes, params, *map(np.int32, (done, now, total - 1))
        )
        latest = np.asarray(odds)[:n, :now]
        if not np.isfinite(latest).all():
            iteration = done + int(np.argmax(~np.isfinite(latest).all(axis=0)))
            raise UserError(
                f"the network gave NaN or infinite scores, first in iteration {iteration}: check "
                "its weights and preprocessing"
            )
        odds_parts.append(latest.T)
        top_parts.append(np.asarray(top)[:n, :now].T)
        done += now
    norm, distance = ascent.finish(state, genomes, values)
    best = jax.tree.map(lambda a: np.asarray(a)[:n], state.best)
    return AscentResult(
        genomes=best,
        best_log_odds=np.asarray(state.best_log_odds)[:n],
        best_iteration=np.asarray(state.best_iteration)[:n],
        log_odds=np.concatenate(odds_parts),
        top=np.concatenate(top_parts),
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
            ("top", 1),
            ("norm", 0),
            ("distance", 0),
        )
    }
    genomes = jax.tree.map(lambda *leaves: np.concatenate(leaves), *(p.genomes for p in parts))
    return AscentResult(genomes=genomes, **whole)


def evaluations_of(iterations: int, targets: int) -> int:
    """Counted: a step, forward and backward, as four (measured 3.9); the last look as one."""
    return targets * (4 * (iterations - 1) + 1)


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
