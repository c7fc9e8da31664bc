"""From graphs to values on a grid of pixels, differentiable in the weights.

JAX's reverse mode does not pass through loops of dynamic length. Through a loop of fixed length it
would keep the rows of every step. So the backward pass is written out here: the tape is played
again, a tile of pixels at a time, and then in reverse, edge by edge. Three rows per node are kept.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import sequential_vmap
from jaxtyping import Array, Float, Int

from qd_fool.encodings.cppn.activations import (
    PI_PARTS,
    Activation,
    gaussian,
    linear,
    sigmoid,
    sine,
    tanh,
)
from qd_fool.encodings.cppn.drawing import Playing, Tapes, Tiles, play, tiles_of

LANES = 32
"""A sum over pixels is kept as this many partial sums, which a CPU adds in one instruction."""

STEEPEST = 1e12
"""Bound of a value's derivative at a pixel. Each node may multiply a derivative by 50, and there
are dozens of nodes: float32 would overflow, and infinity times 0 is NaN."""


# cos(r) on [-pi/2, pi/2] by Taylor's series in r^2: off by 7e-9 before rounding.
COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(7))


def _sine_slope(s: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return cos(s), where s is reduced as in `sine`."""
    turns = jnp.round(s * np.float32(1 / math.pi))
    r = s
    for part in PI_PARTS:
        r = r - turns * np.float32(part)
    x = r * r
    v = jnp.full_like(x, np.float32(COSINE[-1]))
    for coefficient in COSINE[-2::-1]:
        v = v * x + np.float32(coefficient)
    v = jnp.where((turns.astype(jnp.int32) & 1) == 1, -v, v)
    return jnp.clip(v, -1.0, 1.0)


def _sigmoid_slope(s: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return 2 e / (1 + e)^2 with e = exp(-|s|)."""
    e = jnp.exp(jnp.where(s < 0, s, -s))
    return 2.0 * e / ((1.0 + e) * (1.0 + e))


SLOPES: Mapping[Activation, Activation] = MappingProxyType(
    {
        sine: _sine_slope,
        sigmoid: _sigmoid_slope,
        gaussian: lambda s: -2.0 * s * jnp.exp(-s * s),
        linear: lambda s: jnp.where(jnp.abs(s) < 3.0, np.float32(1 / 3), 0.0),
        tanh: lambda s: 10.0 * _sigmoid_slope(10.0 * s),
    }
)
"""The derivative of each activation, without the limits that make bytes exact."""


def play_with_gradient(
    tapes: Tapes, grid: Float[Array | np.ndarray, "inputs pixels"], playing: Playing
) -> Array:
    """Play tapes as `play` does, differentiable in `tapes.weight` alone. Gradients are finite.

    Args:
      tapes: Tapes of a population.
      grid: Values of the input nodes at each pixel.
      playing: As for `play`; each activation has a derivative in `SLOPES`, and `finish` is
        differentiable.

    Returns:
      `(n, pixels, channels)`.
    """
    return _play(tapes, jnp.asarray(grid), playing)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _play(tapes: Tapes, grid: Array, playing: Playing) -> Array:
    return play(tapes, grid, playing)


def _forward(tapes: Tapes, grid: Array, playing: Playing) -> tuple[Array, tuple[Tapes, Array]]:
    return _play(tapes, grid, playing), (tapes, grid)


def _backward(
    playing: Playing, kept: tuple[Tapes, Array], pull: Float[Array, "n pixels channels"]
) -> tuple[Tapes, None]:
    tapes, grid = kept

    # The grid and the pull of each pixel, cut into the same tiles. Pixels that fill the last tile
    # up have no pull.
    tiles = tiles_of(grid, multiple=LANES)
    count, _, size = tiles.shape
    pull = jnp.pad(pull, ((0, 0), (0, count * size - pull.shape[1]), (0, 0)))
    pulls = pull.reshape(len(pull), count, size, -1)

    # As in `play`: one picture after the other on a CPU, the batch in step elsewhere.
    one_by_one = partial(_one_by_one, playing=playing)
    in_step = partial(_in_step, playing=playing)
    gradient = jax.lax.platform_dependent(
        tapes, tiles, pulls, cpu=sequential_vmap(one_by_one), default=in_step
    )

    # Only the weights have a gradient.
    nothing = jax.tree.map(lambda _: None, tapes)
    return dataclasses.replace(nothing, weight=gradient), None


_play.defvjp(_forward, _backward)


Pulls = Float[Array, "n tiles tile channels"]
"""Derivatives of the result by each pixel's channels, tile by tile."""


def _one_by_one(
    tapes: Tapes, tiles: Tiles, pulls: Pulls, playing: Playing
) -> Float[Array, "n edges"]:
    one = partial(_of_a_picture, playing=playing)

    def picture(scratch: Scratch, each: tuple[Tapes, Array]) -> tuple[Scratch, Array]:
        tape, pull = each
        return one(tape, tape.length, tiles, pull, scratch)

    return jax.lax.scan(picture, _scratch(playing.nodes, tiles), (tapes, pulls))[1]


def _in_step(tapes: Tapes, tiles: Tiles, pulls: Pulls, playing: Playing) -> Float[Array, "n edges"]:
    one = partial(_of_a_picture, playing=playing)
    longest = jnp.max(tapes.length, initial=0)
    scratch = _scratch(playing.nodes, tiles)
    return jax.vmap(lambda tape, pull: one(tape, longest, tiles, pull, scratch)[1])(tapes, pulls)


Scratch = tuple[Array, Array, Array]
"""`(nodes + 1, tile)` each: the nodes' values, slopes and adjoints. The last row holds sums that
are not complete. They are carried along, so that they are not cleared for every tile.

The slope of a node is the derivative of the node's value by the sum that its activation was applied
to. The adjoint of a node is the derivative of the result by the node's value."""


def _scratch(nodes: int, tiles: Tiles) -> Scratch:
    rows = jnp.zeros((nodes + 1, tiles.shape[2]), jnp.float32)
    return rows, rows, rows


def _of_a_picture(
    tape: Tapes,
    length: Int[Array, ""],
    tiles: Tiles,
    pulls: Float[Array, "tiles tile channels"],
    scratch: Scratch,
    *,
    playing: Playing,
) -> tuple[Scratch, Float[Array, " edges"]]:
    """The gradient of one picture with respect to its edges' weights.

    Args:
      tape: Tape of the picture.
      length: Number of edges to play: the tape's length, or more.
      tiles: Values of the input nodes.
      pulls: Derivative of the result by each pixel.
      scratch: Rows to work in, with any content.
      playing: Capacity, activations, and how values become pixels.

    Returns:
      The rows, and the gradient.
    """
    nodes, outputs, edges = playing.nodes, tape.fed.shape[0], tape.source.shape[0]

    # A node's adjoint is a sum over the edges that leave the node. On the way back, the last of
    # these edges begins the sum, because the row still holds the sum of another tile. The other
    # edges add to it. `again`: whether an edge is one of the others.
    place = jnp.arange(edges)
    later = (place[None] > place[:, None]) & (place[None] < tape.length)
    again = jnp.any(later & (tape.source[None] == tape.source[:, None]), axis=1)

    def with_slope(function: Activation) -> Callable[[Array], tuple[Array, Array]]:
        return lambda s: (function(s), SLOPES[function](s))

    def pulled(emitted: Array, pull: Array) -> Array:
        # This runs in a branch. Otherwise XLA would fuse it with the update in place, and would not
        # vectorise it.
        return jax.vjp(playing.finish, emitted)[1](pull)[0]

    branches = [lambda s: (s, jnp.ones_like(s)), *map(with_slope, playing.activations)]

    def tile_of(
        state: tuple[Scratch, Array], each: tuple[Array, Array]
    ) -> tuple[tuple[Scratch, Array], None]:
        (values, slopes, adjoints), sums = state
        inputs, pull = each

        # 1. Forward, as `play` does it, with the slope of each node beside its value.
        values = jax.lax.dynamic_update_slice(values, inputs, (0, 0))

        def edge(k: Array | int, state: tuple[Array, Array]) -> tuple[Array, Array]:
            values, slopes = state
            before = jnp.where(tape.goes_on[k] > 0, values[nodes], 0.0)
            s = before + tape.weight[k] * values[tape.source[k]]
            value, slope = jax.lax.switch(tape.function[k], branches, s)
            return _put(values, tape.row[k], value), _put(slopes, tape.row[k], slope)

        values, slopes = jax.lax.fori_loop(0, length, edge, (values, slopes))

        # 2. From pixels to outputs: the adjoints that the way back begins with.
        emitted = values[nodes - outputs : nodes]
        emitted = jnp.where(tape.fed[:, None], emitted, tape.unfed_value[:, None])
        wanted = jax.lax.cond(
            length > 0, pulled, lambda emitted, _: jnp.zeros_like(emitted), emitted, pull
        )
        adjoints = jax.lax.dynamic_update_slice(adjoints, wanted, (nodes - outputs, 0))

        # 3. Back, from the last edge to the first. `d` is the derivative by a node's weighted sum:
        # it begins with the node's last edge and stays the same for all edges into the node. An
        # edge adds d times the source's value to the gradient of the edge's weight, and passes d
        # times the weight to the source.
        def edge_reversed(i: Array | int, state: tuple[Array, ...]) -> tuple[Array, ...]:
            adjoints, d, sums = state
            k = length - 1 - i
            row, source = tape.row[k], tape.source[k]
            into = jnp.clip(slopes[row] * adjoints[row], -STEEPEST, STEEPEST)
            # d is carried, so that each turn writes one row of `adjoints`, which XLA does in
            # place. If d had a row of its own, there would be two, and XLA would copy the array.
            d = jnp.where(tape.function[k] > 0, into, d)
            lanes = jnp.sum((d * values[source]).reshape(-1, LANES), axis=0)
            others = jnp.where(again[k], adjoints[source], 0.0)
            adjoints = _put(adjoints, source, others + tape.weight[k] * d)
            return adjoints, d, _put(sums, k, sums[k] + lanes)

        first = (adjoints, jnp.zeros_like(adjoints[0]), sums)
        adjoints, _, sums = jax.lax.fori_loop(0, length, edge_reversed, first)
        return ((values, slopes, adjoints), sums), None

    sums = jnp.zeros((edges, LANES), jnp.float32)
    scratch, sums = jax.lax.scan(tile_of, (scratch, sums), (tiles, pulls))[0]
    return scratch, jnp.sum(sums, axis=1)


def _put(rows: Array, place: Array | int, row: Array) -> Array:
    place = jnp.asarray(place)
    return jax.lax.dynamic_update_slice(rows, row[None], (place, jnp.zeros_like(place)))
