"""Gradient ascent on the kernel: pictures, or the weights of a CPPN, climb toward a class.

Source: paper, section 2.3 and figures 12-13; caffe/ascent/find_fooling_image.py of the original
code (branch `ascent`). As there an iteration clips, looks, notes, and then steps. Unlike there the
network is always shown the 8-bit picture that would be saved, with the gradient of the unrounded
one, so that what is noted is true of the file; and the best iterate is kept.

Everything here is pure; `ascent_blocks` hands targets to the devices.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Int, PyTree

from qd_fool.ascent import rules as ascent_rules
from qd_fool.ascent.config import AscentConfig
from qd_fool.ascent.objectives import read_objective, to_climb
from qd_fool.devices.chunks import map_chunks
from qd_fool.devices.mesh import AXIS
from qd_fool.encodings import Encoding
from qd_fool.encodings.base import Variables
from qd_fool.errors import UserError
from qd_fool.models import Scorer
from qd_fool.scoring.crops import check_crops
from qd_fool.scoring.log_odds import log_odds_and_layer

SEGMENT = 64
"""Iterations a call, at most."""


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
) -> tuple[AscentState, Array, Array, Array]:
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
      The state after it; log-odds of the classes, merits, and whether each class is the most
      confident.
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
    return after, own, merit, top


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
      segment: `state, genomes, classes, params, first, count, last -> state, log_odds, merit,
        top`: `count` iterations from `first`, at most `SEGMENT`; what they log is `(n, SEGMENT)`.
        After `last` nothing moves. The state is donated.
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
    ) -> tuple[AscentState, Array, Array, Array]:
        def of_chunk(chunk: Any) -> Any:
            state, genomes, classes = chunk

            def one(i: Array, carried: Any) -> Any:
                state, *logs = carried
                state, *noted = step(state, genomes, classes, params, first + i, last, **facts)
                return state, *(log.at[:, i].set(x) for log, x in zip(logs, noted, strict=True))

            kinds = (jnp.float32, jnp.float32, bool)
            logs = [jnp.zeros((len(classes), SEGMENT), kind) for kind in kinds]
            return jax.lax.fori_loop(0, count, one, (state, *logs))

        # Chunks outside, iterations inside: what a chunk needs stays in the cache.
        return map_chunks(of_chunk, (state, genomes, classes), chunk=config.chunk)

    def finish(state: AscentState, genomes: PyTree[Array], start: Array) -> tuple[Array, Array]:
        def of_chunk(chunk: Any) -> tuple[Array, Array]:
            genomes, last, start = chunk
            start = jnp.clip(start, variables.low, variables.high)
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
