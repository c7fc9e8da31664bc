"""The direct encoding: one gene per pixel and channel.

Source: paper, section 2.2; sferes/exp/images/gen/evo_float_image.hpp and
phen/phen_grayscale_image_direct.hpp. The paper's genes are integers, the code's are floats.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, UInt8

from qd_fool.encodings.base import Encoding, Operator, Variables, Window
from qd_fool.encodings.color import (
    bytes_to_pixels,
    floats_to_pixels,
    planes_of,
    resolve_color,
)
from qd_fool.encodings.direct_settings import DirectSettings
from qd_fool.encodings.randomness import happens, pick, random_words, unit
from qd_fool.encodings.variation import mutate, mutation_threshold, sbx


def _to_unit(genomes: Array) -> Float[Array, "n genes"]:
    if genomes.dtype == jnp.uint8:
        return genomes.astype(jnp.float32) * jnp.float32(1 / 255)
    return genomes


def _from_unit(genes: Float[Array, "n genes"], dtype: jnp.dtype) -> Array:
    if dtype == jnp.uint8:
        return jnp.round(genes * 255.0).astype(jnp.uint8)
    return genes


STEP = 6.0
"""Default mean size of a fine step, in gray levels."""

TUNED = 0.1
"""Probability per gene that a fine step changes it."""


def direct(image_shape: tuple[int, int, int], settings: DirectSettings) -> Encoding:
    """Build the direct encoding, for pictures of any size.

    Genomes are `(n, height * width * planes)`, row by row, planes innermost (one for gray, three
    for colour). Genes are uint8 or, with `genes="float"`, float32 in [0, 1].

    Args:
      image_shape: Shape of the pictures, `(height, width, channels)`.
      settings: Settings of the genes and of their variation.

    Raises:
      UserError: A setting is out of range.
    """
    s = settings
    height, width, channels = image_shape
    color = resolve_color(s.color, channels)
    planes = planes_of(color)
    count = height * width * planes
    dtype = jnp.dtype(jnp.uint8 if s.genes == "int" else jnp.float32)

    # Random individuals: four bytes from each random word, or uniform floats.
    def init(keys: Key[Array, " n"]) -> Array:
        if s.genes == "int":
            words = random_words(keys, -(-count // 4))
            return jax.lax.bitcast_convert_type(words, jnp.uint8).reshape(len(keys), -1)[:, :count]
        return jax.vmap(lambda key: jax.random.uniform(key, (count,), jnp.float32))(keys)

    def cross(keys: Key[Array, " n"], parents: Array, mates: Array) -> Array:
        def coin(key: Array) -> tuple[Array, Array]:
            mate_key, sbx_key = jax.random.split(key)
            return jax.random.bernoulli(mate_key, jnp.float32(s.crossover_rate)), sbx_key

        crossed, sbx_keys = jax.vmap(coin)(keys)
        children = sbx(sbx_keys, _to_unit(parents), _to_unit(mates), eta=s.crossover_eta)
        return jnp.where(crossed[:, None], _from_unit(children, dtype), parents)

    def vary(keys: Key[Array, " n"], parents: Array, mates: Array, generation: Array) -> Array:
        if s.crossover_rate > 0:
            # Crossover has its own random stream, so that mutation draws the same numbers with and
            # without crossover.
            cross_keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
            parents = cross(cross_keys, parents, mates)
        threshold = mutation_threshold(s.mutation_rate, generation)
        bits = random_words(keys, count)
        genes = mutate(_to_unit(parents), bits, threshold, eta=s.eta)
        return _from_unit(genes, dtype)

    # Small changes: steps of Laplace's distribution, in gray levels, and a rectangle of a mate.
    def fine(keys: Array, parents: Array, mates: Array, steps: Array) -> Array:
        del mates
        words = random_words(keys, 2 * count)
        sizes, coins = words[:, :count], words[:, count:]
        size = -jnp.log(unit(sizes) + jnp.float32(2**-25)) * steps[:, None]
        step = jnp.where((sizes & 1) == 1, size, -size)
        return put(parents, take(parents) + jnp.where(happens(coins, TUNED), step, 0.0))

    def recombine(keys: Array, parents: Array, mates: Array, steps: Array) -> Array:
        words = random_words(jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys), 4)

        def span(first: Array, second: Array, length: int) -> Array:
            # Whether each row, or column, lies between two random ones.
            ends = jnp.stack([pick(w, jnp.full(len(w), length)) for w in (first, second)])
            place = jnp.arange(length)[None]
            return (place >= ends.min(axis=0)[:, None]) & (place <= ends.max(axis=0)[:, None])

        rows = span(words[:, 0], words[:, 1], height)
        columns = span(words[:, 2], words[:, 3], width)
        inside = jnp.repeat((rows[:, :, None] & columns[:, None]).reshape(len(keys), -1), planes, 1)
        return jnp.where(inside, mates, fine(keys, parents, mates, steps))

    def split(genomes: Array) -> list[Array]:
        pictures = genomes.reshape(-1, height, width, planes)
        return [pictures[..., i] for i in range(planes)]

    def render_window(genomes: Array, window: Window) -> UInt8[Array, "n height width channels"]:
        top, left, rows, columns = window
        seen = genomes.reshape(-1, height, width, planes)
        seen = seen[:, top : top + rows, left : left + columns]
        if s.genes == "float":
            seen = jnp.trunc(jnp.abs(seen) * 255.0).astype(jnp.uint8)
        values = [seen[..., i].astype(jnp.int32) for i in range(planes)]
        return bytes_to_pixels(values, color=color, channels=channels)

    def render(genomes: Array) -> UInt8[Array, "n height width channels"]:
        return render_window(genomes, (0, 0, height, width))

    # The variables of gradient ascent are the genes, in units of 0..255.
    scale = 255.0 if s.genes == "float" else 1.0

    def take(genomes: Array) -> Float[Array, "n genes"]:
        return genomes.astype(jnp.float32) * scale

    def put(genomes: Array, values: Float[Array, "n genes"]) -> Array:
        del genomes
        values = jnp.clip(values, 0.0, 255.0)
        return values * (1 / 255) if s.genes == "float" else jnp.round(values).astype(jnp.uint8)

    def draw(genomes: Array, values: Float[Array, "n genes"]) -> Array:
        del genomes
        return floats_to_pixels(split(values), color=color, channels=channels)

    def render_float(genomes: Array) -> Float[Array, "n height width channels"]:
        return draw(genomes, take(genomes))

    return Encoding(
        "direct",
        s,
        image_shape,
        init,
        vary,
        render,
        render_float,
        variables=Variables(
            take, put, draw, 0.0, 255.0, 2.0, lambda g: jnp.ones(g.shape, jnp.float32)
        ),
        render_window=render_window,
        operators={"fine": Operator(fine, STEP), "recombine": Operator(recombine, STEP)},
        meaning=("genes", "color"),
    )
