"""The CPPN encoding: pictures drawn by small evolved graphs of functions.

Source: paper, section 2.2 and figure 4; sferes/exp/images/phen/phen_color_image.hpp and
modules/nn2/gen_dnn_ff.hpp of the original code (Stanley 2007 for CPPNs). A graph gets a pixel's
column, row, distance from the centre and a bias. It returns gray, or hue, lightness and saturation.
"""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt8

from qd_fool.encodings.base import Encoding, Variables, Window
from qd_fool.encodings.color import (
    bytes_to_pixels,
    floats_to_pixels,
    nearest_byte,
    planes_of,
    resolve_color,
)
from qd_fool.encodings.cppn.activations import ACTIVATIONS, at_zero
from qd_fool.encodings.cppn.crossover import cross_graphs
from qd_fool.encodings.cppn.drawing import Finish, Playing, play, write_tapes
from qd_fool.encodings.cppn.gradient import play_with_gradient
from qd_fool.encodings.cppn.graph import Graphs, choose
from qd_fool.encodings.cppn.graph_json import describe_graph
from qd_fool.encodings.cppn.mutation import (
    MAX_WEIGHT,
    mutate_graphs,
    random_weight,
    words_needed,
    zoom_graphs,
)
from qd_fool.encodings.cppn.operators import cppn_operators
from qd_fool.encodings.cppn.settings import INPUTS, MOST, CppnSettings, activation_names
from qd_fool.encodings.randomness import happens, pick, random_words
from qd_fool.errors import UserError

AT_ONCE = 2**18
"""Pixels of a large drawing that are drawn together, which bounds memory."""


def pixel_grid(
    size: tuple[int, int],
    native: tuple[int, int],
    *,
    settings: CppnSettings,
    part: slice = slice(None),
) -> Float[np.ndarray, "inputs pixels"]:
    """Return the values of the four inputs at each pixel, row by row.

    Args:
      size: Size of the drawing, `(height, width)`.
      native: Size of the pictures that were evolved, `(height, width)`. A drawing of another size
        samples the same range of coordinates more finely or coarsely.
      settings: Settings of the coordinates.
      part: Rows to return; all by default.
    """
    rows, columns = (np.linspace(0.0, max(n - 1, 0), s) for s, n in zip(size, native, strict=True))
    rows = rows[part]
    x, y = (2.0 * a / max(n - 1, 1) - 1.0 for a, n in ((columns, native[1]), (rows, native[0])))
    distance = np.hypot(x[None, :], y[:, None])
    if settings.coords == "normalized":
        columns, rows = settings.coords_scale * x, settings.coords_scale * y
    column, row = np.broadcast_arrays(columns[None, :], rows[:, None])
    inputs = np.stack([column, row, distance, np.ones_like(distance)])
    return inputs.reshape(INPUTS, -1).astype(np.float32)


def _check_room(settings: CppnSettings, outputs: int) -> None:
    for field, least in (("max_nodes", INPUTS + outputs), ("max_edges", INPUTS * outputs)):
        if getattr(settings, field) < least:
            raise UserError(
                f"{field} is {getattr(settings, field)}: the first graphs, "
                f"{INPUTS} inputs each connected to {outputs} outputs, need {least}"
            )


def random_graphs(
    keys: Key[Array, " n"], *, settings: CppnSettings, outputs: int, activations: int
) -> Graphs:
    """Draw graphs without hidden nodes, with an edge from each input to each output.

    Weights are uniform in [-10, 10). Activations of the outputs are uniform over all activations
    (gen_dnn_ff.hpp:77-82).

    Args:
      keys: One random key per graph.
      settings: Settings of the encoding.
      outputs: Number of output nodes.
      activations: Number of activations to draw from.
    """
    nodes, edges = settings.max_nodes, settings.max_edges
    words = random_words(keys, nodes + edges)
    position = jnp.arange(nodes)[None]
    drawn = (words[:, :nodes] % activations).astype(jnp.int16)
    place = jnp.arange(edges, dtype=jnp.int16)[None]
    alive = jnp.broadcast_to(place < INPUTS * outputs, (len(keys), edges))
    return Graphs(
        activation=jnp.where(position >= nodes - outputs, drawn, jnp.int16(0)),
        source=jnp.where(alive, place % INPUTS, jnp.int16(0)),
        target=jnp.where(alive, nodes - outputs + place // INPUTS, jnp.int16(nodes)),
        weight=jnp.where(alive, random_weight(words[:, nodes:]), 0.0),
        hidden=jnp.zeros(len(keys), jnp.int32),
        refused=jnp.zeros(len(keys), jnp.int32),
    )


def cppn(image_shape: tuple[int, int, int], settings: CppnSettings) -> Encoding:
    """Build the CPPN encoding, for pictures of any size, gray or in colour. Genomes are `Graphs`.

    Args:
      image_shape: Shape of the pictures, `(height, width, channels)`.
      settings: Coordinates, activations, colour, capacity and rates.

    Raises:
      UserError: A setting is out of range, or capacity is too small for a first graph.
    """
    height, width, channels = image_shape
    color = resolve_color(settings.color, channels)
    outputs = planes_of(color)
    _check_room(settings, outputs)
    names = activation_names(settings.activations)
    functions = [ACTIVATIONS[name] for name in names]
    zeros = [at_zero(name) for name in names]

    def init(keys: Key[Array, " n"]) -> Graphs:
        return random_graphs(keys, settings=settings, outputs=outputs, activations=len(names))

    def vary(keys: Key[Array, " n"], parents: Graphs, mates: Graphs, generation: Array) -> Graphs:
        del generation  # constant rates
        count = words_needed(settings.max_nodes, settings.max_edges)
        graphs = dataclasses.replace(parents, refused=jnp.zeros_like(parents.refused))
        if settings.crossover_rate > 0:
            # Crossover and zoom have random streams of their own, so that mutation draws the same
            # numbers with them and without.
            words = random_words(
                jax.vmap(lambda key: jax.random.fold_in(key, MOST + 1))(keys), 1 + outputs
            )
            crossed = cross_graphs(graphs, mates, words[:, 1:], outputs=outputs)
            graphs = choose(happens(words[:, 0], settings.crossover_rate), crossed, graphs)
        if settings.zoom > 0:
            words = random_words(jax.vmap(lambda key: jax.random.fold_in(key, MOST + 2))(keys), 2)
            zoomed = zoom_graphs(graphs, words[:, 1])
            graphs = choose(happens(words[:, 0], settings.zoom), zoomed, graphs)

        # Draw how many times each offspring is mutated.
        most = max(settings.mutations, settings.most_mutations)
        span = jnp.full(len(keys), most - settings.mutations + 1)
        times_keys = jax.vmap(lambda key: jax.random.fold_in(key, most))(keys)
        times = settings.mutations + pick(random_words(times_keys, 1)[:, 0], span)

        def once(i: Array | int, graphs: Graphs) -> Graphs:
            words = random_words(jax.vmap(lambda key: jax.random.fold_in(key, i))(keys), count)
            mutated = mutate_graphs(
                graphs, words, outputs=outputs, activations=len(names), rates=settings
            )
            if most == settings.mutations:
                return mutated
            return choose(times > i, mutated, graphs)

        return jax.lax.fori_loop(0, most, once, graphs)

    def to_bytes(values: Float[Array, "*n outputs pixels"]) -> Array:
        # trunc(255 |v|): negative values are mirrored (phen_color_image.hpp:109-111).
        scaled = nearest_byte(jnp.floor(jnp.abs(values) * 255.0))
        planes = [scaled[..., i, :] for i in range(outputs)]
        return bytes_to_pixels(planes, color=color, channels=channels)

    def to_floats(values: Float[Array, "*n outputs pixels"]) -> Array:
        scaled = jnp.abs(values) * 255.0
        planes = [scaled[..., i, :] for i in range(outputs)]
        return floats_to_pixels(planes, color=color, channels=channels)

    def native_grid() -> Float[np.ndarray, "inputs pixels"]:
        return pixel_grid((height, width), (height, width), settings=settings)

    def draw(graphs: Graphs, grid: Array | np.ndarray, player: object, finish: Finish) -> Array:
        tapes = write_tapes(graphs, outputs=outputs, at_zero=zeros)
        playing = Playing(settings.max_nodes, functions, finish)
        return player(tapes, grid, playing)  # type: ignore[operator]

    def render_window(graphs: Graphs, window: Window) -> UInt8[Array, "n rows columns channels"]:
        top, left, rows, columns = window
        grid = native_grid().reshape(INPUTS, height, width)
        seen = grid[:, top : top + rows, left : left + columns].reshape(INPUTS, -1)
        pixels = draw(graphs, seen, play, to_bytes)
        return pixels.reshape(len(graphs.hidden), rows, columns, channels)

    def render(graphs: Graphs) -> UInt8[Array, "n height width channels"]:
        return render_window(graphs, (0, 0, height, width))

    def render_float(graphs: Graphs) -> Float[Array, "n height width channels"]:
        pixels = draw(graphs, native_grid(), play_with_gradient, to_floats)
        return pixels.reshape(len(graphs.hidden), *image_shape)

    # The grid is an argument: as a constant, XLA would keep copies of it.
    draw_part = jax.jit(lambda graphs, grid: draw(graphs, grid, play, to_bytes))

    def render_at(
        graphs: Graphs, size: tuple[int, int]
    ) -> UInt8[np.ndarray, "n height width channels"]:
        n = len(graphs.hidden)
        images = np.zeros((n, *size, channels), np.uint8)
        rows = min(size[0], max(1, AT_ONCE // (size[1] * max(n, 1))))
        for start in range(0, size[0], rows):
            # The last part begins earlier, so that all parts have one size and nothing recompiles.
            part = slice(min(start, size[0] - rows), min(start, size[0] - rows) + rows)
            grid = pixel_grid(size, (height, width), settings=settings, part=part)
            images[:, part] = np.asarray(draw_part(graphs, grid)).reshape(
                n, rows, size[1], channels
            )
        return images

    def take(graphs: Graphs) -> Float[Array, "n edges"]:
        return graphs.weight

    def put(graphs: Graphs, values: Float[Array, "n edges"]) -> Graphs:
        alive = graphs.target < settings.max_nodes
        # A NaN would stay in a scratch row of the player, and reach other pictures.
        values = jnp.where(jnp.isnan(values), graphs.weight, values)
        weight = jnp.where(alive, jnp.clip(values, -MAX_WEIGHT, MAX_WEIGHT), 0.0)
        # The mutations that were skipped when the parent was made have been counted already.
        return dataclasses.replace(graphs, weight=weight, refused=jnp.zeros_like(graphs.refused))

    def draw_with(graphs: Graphs, values: Float[Array, "n edges"]) -> Array:
        return render_float(dataclasses.replace(graphs, weight=values))

    # The step size of a weight: smaller, if the values of its source are larger. Raw column numbers
    # are far larger than the bias.
    def reach() -> Float[np.ndarray, " nodes"]:
        largest = np.ones(settings.max_nodes, np.float32)
        largest[:INPUTS] = np.maximum(np.abs(native_grid()).max(axis=1), 1.0)
        return largest

    def steps(graphs: Graphs) -> Float[Array, "n edges"]:
        size = 1.0 / jnp.asarray(reach())[graphs.source]
        return jnp.where(graphs.target < settings.max_nodes, size, 0.0)

    # Jitted for calls from Python; inside a compiled run it makes no difference.
    return Encoding(
        name="cppn",
        settings=settings,
        image_shape=image_shape,
        init=jax.jit(init),
        vary=jax.jit(vary),
        render=jax.jit(render),
        render_float=jax.jit(render_float),
        variables=Variables(take, put, draw_with, -MAX_WEIGHT, MAX_WEIGHT, 0.03, steps),
        render_at=render_at,
        render_window=jax.jit(render_window, static_argnums=1),
        refusals=lambda graphs: graphs.refused,
        operators=cppn_operators(settings, outputs=outputs, activations=len(names), reach=reach()),
        meaning=("coords", "coords_scale", "activations", "color", "max_nodes", "max_edges"),
        describe=partial(describe_graph, settings=settings, color=color, image_shape=image_shape),
    )
