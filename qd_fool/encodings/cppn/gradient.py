"""From graphs to values on a grid of pixels, differentiable in the weights.

Reverse mode does not pass through loops of dynamic length, and through one of fixed length it would
keep the rows of every step. So the backward pass is written out: the tape is played again, a tile
of pixels at a time, and then in reverse, edge by edge. What is kept is three rows a node.
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
"""Sums over pixels are kept apart in so many, which a CPU adds up at once."""


STEEPEST = 1e12
"""Bound of a value's derivative at a pixel. Each node may multiply it by 50, and there are dozens:
float32 would overflow, and infinity times 0 is NaN."""


# cos(r) on [-pi/2, pi/2] by Taylor's series in r^2: off by 7e-9 before rounding.
COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(7))


def _sine_slope(s: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """cos(s), s reduced as in `sine`."""
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
    """2 e / (1 + e)^2 with e = exp(-|s|)."""
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
"""The derivative of each activation: of the function meant, without the limits that make bytes
exact."""


def play_with_gradient(
    tapes: Tapes, grid: Float[Array | np.ndarray, "inputs pixels"], playing: Playing
) -> Array:
    """`play`, differentiable in `tapes.weight`, and in nothing else; always finite.

    Args:
      tapes: Tapes of a population.
      grid: Values that the input nodes emit at each pixel.
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
    tiles = tiles_of(grid, multiple=LANES)
    count, _, size = tiles.shape
    pull = jnp.pad(pull, ((0, 0), (0, count * size - pull.shape[1]), (0, 0)))
    pulls = pull.reshape(len(pull), count, size, -1)
    one_by_one = partial(_one_by_one, playing=playing)
    in_step = partial(_in_step, playing=playing)
    gradient = jax.lax.platform_dependent(
        tapes, tiles, pulls, cpu=sequential_vmap(one_by_one), default=in_step
    )
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
"""`(nodes + 1, tile)` each: values, their slopes, and the adjoints. The last row is for sums that
go on. Carried along, so that they are not cleared for every tile."""


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
    """The gradient of one picture, `length` edges of it: its own number, or more."""
    nodes, outputs, edges = playing.nodes, tape.fed.shape[0], tape.source.shape[0]

    # Whether a later edge has met the source already; if not, its row still holds another tile's.
    place = jnp.arange(edges)
    later = (place[None] > place[:, None]) & (place[None] < tape.length)
    again = jnp.any(later & (tape.source[None] == tape.source[:, None]), axis=1)

    def with_slope(function: Activation) -> Callable[[Array], tuple[Array, Array]]:
        return lambda s: (function(s), SLOPES[function](s))

    def pulled(emitted: Array, pull: Array) -> Array:
        # In a branch, without which XLA would weave it into the update in place and not vectorise.
        return jax.vjp(playing.finish, emitted)[1](pull)[0]

    branches = [lambda s: (s, jnp.ones_like(s)), *map(with_slope, playing.activations)]

    def tile_of(
        state: tuple[Scratch, Array], each: tuple[Array, Array]
    ) -> tuple[tuple[Scratch, Array], None]:
        (values, slopes, adjoints), sums = state
        inputs, pull = each
        values = jax.lax.dynamic_update_slice(values, inputs, (0, 0))

        def edge(k: Array | int, state: tuple[Array, Array]) -> tuple[Array, Array]:
            values, slopes = state
            before = jnp.where(tape.goes_on[k] > 0, values[nodes], 0.0)
            s = before + tape.weight[k] * values[tape.source[k]]
            value, slope = jax.lax.switch(tape.function[k], branches, s)
            return _put(values, tape.row[k], value), _put(slopes, tape.row[k], slope)

        values, slopes = jax.lax.fori_loop(0, length, edge, (values, slopes))

        emitted = values[nodes - outputs : nodes]
        emitted = jnp.where(tape.fed[:, None], emitted, tape.unfed_value[:, None])
        wanted = jax.lax.cond(
            length > 0, pulled, lambda emitted, _: jnp.zeros_like(emitted), emitted, pull
        )
        adjoints = jax.lax.dynamic_update_slice(adjoints, wanted, (nodes - outputs, 0))

        def edge_reversed(i: Array | int, state: tuple[Array, ...]) -> tuple[Array, ...]:
            adjoints, d, sums = state
            k = length - 1 - i
            row, source = tape.row[k], tape.source[k]
            into = jnp.clip(slopes[row] * adjoints[row], -STEEPEST, STEEPEST)
            # d is carried, so that each turn writes one row, which XLA does in place: with two
            # it copies the whole array.
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
