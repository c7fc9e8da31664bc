"""Gradient ascent on the network's scores: pictures, or a CPPN's weights, climb toward a class.

Source: paper, section 2.3 and figures 12-13; caffe/ascent/find_fooling_image.py of the original
code (branch `ascent`). As in the original, an iteration clips, looks, notes, and then steps. Two
things differ. The network always sees the 8-bit picture that would be saved, with the gradient of
the unrounded picture: the noted confidence is the confidence of the file. And the best iterate is
kept.

Everything here is a pure function. `segments` compiles many iterations as one call, and `blocks`
hands targets to the devices.
"""

from collections.abc import Callable
from typing import Any, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PyTree

from qd_fool.ascent import rules as ascent_rules
from qd_fool.ascent.config import AscentConfig
from qd_fool.ascent.objectives import read_objective, to_climb
from qd_fool.encodings import Encoding
from qd_fool.encodings.base import Variables
from qd_fool.errors import UserError
from qd_fool.models.network import Network
from qd_fool.scoring.layers import log_odds_and_layer


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class AscentState:
    """Targets between two iterations.

    Attributes:
      values: `(n, size)` values that the ascent moves, not clipped yet.
      best: `(n, ...)` genomes of the best iterates so far.
      best_merit: `(n,)` merits of the best iterates: log-odds of the target's class, or the unit's
        output where a unit is climbed.
      best_log_odds: `(n,)` log-odds of the target's class in the best iterates.
      best_iteration: `(n,)` iterations of the best iterates.
      optimiser: `(n, ...)` state of the step rule.
    """

    values: Float[Array, "n size"]
    best: PyTree[Array]
    best_merit: Float[Array, " n"]
    best_log_odds: Float[Array, " n"]
    best_iteration: Int[Array, " n"]
    optimiser: PyTree[Array]


def straight_through(smooth: Array, exact: Array) -> Array:
    """Return `exact`, with the gradient of `smooth`. A sum of the two would be rounded."""
    return _straight_through(smooth, exact)


@jax.custom_jvp
def _straight_through(smooth: Array, exact: Array) -> Array:
    return exact


@_straight_through.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    return primals[1], tangents[0]


def variables_of(encoding: Encoding) -> Variables:
    """Return the part of an encoding's genomes that can be moved.

    Raises:
      UserError: The encoding has no such part.
    """
    if encoding.variables is None:
        raise UserError(f"the {encoding.name} encoding has nothing that a gradient could move")
    return encoding.variables


def mean_picture(scorer: Network, channels: int) -> Float[np.ndarray, " channels"]:
    """Return the colour of a picture without information, one value per channel in 0..255."""
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
    """Run one iteration of several targets: clip, look, note, step.

    Args:
      state: The targets before the iteration.
      genomes: Genomes at the start, which hold everything that `values` does not.
      classes: Classes of the targets.
      params: The network's parameters.
      iteration: Number of the iteration, from 0.
      last: Iteration after which nothing moves.
      look: Function of the forward and backward pass, from `make_look`.
      rule: Step rule of one target.
      regulariser: Regulariser of one target, or None.
      variables: Variables of the encoding.
      shape: Shape of the picture, if the values are pixels; used by regularisers only.
      centre: Mean of the network; used by regularisers only.

    Returns:
      The targets after the iteration; log-odds of the classes, merits, and whether each class is
      the most confident.
    """
    # Clip, and look at the picture that would be saved now.
    values = jnp.clip(state.values, variables.low, variables.high)
    held = variables.put(genomes, values)
    gradient, odds, merit, top, doubt = look(params, genomes, values, held, classes)

    # Note: keep what is better than everything before.
    better = jnp.isfinite(merit) & (merit > state.best_merit)

    def keep(new: Array, old: Array) -> Array:
        return jnp.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    # Step. Values differ in how far a good step goes: the rule sees each in units of its step size.
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

    # A target with a gradient of 0 stays where it is. The gradient will be 0 again in the next
    # iteration, so the target has stopped, as in the original.
    moves = jnp.all(jnp.isfinite(scaled), axis=1) & jnp.any(scaled != 0, axis=1)
    moves &= iteration < last

    def move(new: Array, old: Array) -> Array:
        return jnp.where(moves.reshape(-1, *[1] * (new.ndim - 1)), new, old)

    after = AscentState(
        values=move(moved, values),
        best=jax.tree.map(keep, held, state.best),
        best_merit=keep(merit, state.best_merit),
        best_log_odds=keep(odds, state.best_log_odds),
        best_iteration=keep(jnp.broadcast_to(iteration, better.shape), state.best_iteration),
        optimiser=jax.tree.map(move, optimiser, state.optimiser),
    )
    return after, odds, merit, top


def make_look(scorer: Network, encoding: Encoding, config: AscentConfig) -> Callable[..., Any]:
    """Return a function that runs a forward and a backward pass, of the picture as saved.

    Args:
      scorer: The network.
      encoding: Encoding of the genomes.
      config: Settings of the ascent.

    Returns:
      A function `(params, genomes, values, held, classes) -> gradient (n, size), log-odds of the
      class (n,), merit (n,), whether the class is the most confident (n,), doubt (n,)`. Doubt is
      1 - confidence, and 1 where a unit is climbed.

    Raises:
      UserError: The network has no such objective.
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
        # The network sees the 8-bit picture; its gradient passes to the unrounded picture.
        exact = encoding.render(held).astype(jnp.float32)

        def climb(values: Array) -> tuple[Array, tuple[Array, ...]]:
            images = straight_through(variables.draw(genomes, values), exact)
            all_odds, outputs = log_odds_and_layer(
                scorer, params, images, crops=config.crops, layer=objective.layer
            )
            odds = jnp.take_along_axis(all_odds, classes[:, None], axis=1)[:, 0]
            height, merit = to_climb(objective, odds, outputs, classes)
            return jnp.sum(height), (odds, merit, jnp.argmax(all_odds, axis=1) == classes)

        # Targets don't depend on each other: the gradient of the sum holds each one's gradient.
        gradient, (odds, merit, top) = jax.grad(climb, has_aux=True)(values)
        doubt = jnp.ones_like(odds) if objective.name == "unit" else jax.nn.sigmoid(-odds)
        return gradient, odds, merit, top, doubt

    return look


def values_are_pixels(encoding: Encoding) -> bool:
    """Whether an encoding's values are the pixels, row by row, channels innermost."""
    color = getattr(encoding.settings, "color", None)
    gray = encoding.image_shape[2] == 1
    return encoding.name == "direct" and (color == "rgb" or (gray and color in ("gray", None)))
