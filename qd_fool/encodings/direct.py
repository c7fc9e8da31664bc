"""The direct encoding: a gene a pixel and channel.

Source: paper, section 2.2; sferes/exp/images/gen/evo_float_image.hpp and
phen/phen_grayscale_image_direct.hpp. The paper's genes are integers, the code's are floats.
"""

import dataclasses
import math
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32
from jaxtyping import Array, Float, Key, UInt8, UInt32

from qd_fool.encodings.base import ENCODINGS, Encoding
from qd_fool.encodings.variation import mutate, mutation_threshold, sbx
from qd_fool.errors import UserError

Genes = Literal["int", "float"]


@dataclasses.dataclass(frozen=True)
class DirectSettings:
    """Settings of the direct encoding.

    Attributes:
      genes: "int", 8-bit integers as in the paper's text; "float", [0, 1] as in the original code,
        truncated to bytes when rendered.
      mutation_rate: probability that a gene mutates, in [0, 1]; halved every 1000 generations.
      eta: distribution index of polynomial mutation ("mutation strength" in the paper).
      crossover_rate: probability of simulated binary crossover with a second parent, in [0, 1];
        the original code has 0.5, which the paper does not mention.
      crossover_eta: distribution index of the crossover; the original code has 10.
    """

    genes: str = "int"
    mutation_rate: float = 0.1
    eta: float = 15.0
    crossover_rate: float = 0.0
    crossover_eta: float = 10.0

    def __post_init__(self) -> None:
        if self.genes not in get_args(Genes):
            raise UserError(
                f"genes is {self.genes!r}: expected one of {', '.join(get_args(Genes))}"
            )
        for field in ("mutation_rate", "crossover_rate"):
            if not 0.0 <= getattr(self, field) <= 1.0:
                raise UserError(f"{field} is {getattr(self, field)}: expected 0 to 1")
        for field in ("eta", "crossover_eta"):
            if not getattr(self, field) >= 0.0:
                raise UserError(f"{field} is {getattr(self, field)}: expected 0 or more")


def _random_words(keys: Key[Array, " n"], count: int) -> UInt32[Array, "n count"]:
    """`count` uniform words a key.

    `jax.random.bits` spends a whole Threefry block on each 32-bit word and throws half of it away;
    this takes both halves, which halves what mutation costs.
    """
    counters = jnp.arange(count, dtype=jnp.uint32)
    return jax.vmap(lambda data: threefry_2x32(data, counters))(jax.random.key_data(keys))


def _to_unit(genomes: Array) -> Float[Array, "n genes"]:
    if genomes.dtype == jnp.uint8:
        return genomes.astype(jnp.float32) * jnp.float32(1 / 255)
    return genomes


def _from_unit(genes: Float[Array, "n genes"], dtype: jnp.dtype) -> Array:
    if dtype == jnp.uint8:
        return jnp.round(genes * 255.0).astype(jnp.uint8)
    return genes


@ENCODINGS.register("direct")
def direct(
    image_shape: tuple[int, int, int], *, settings: DirectSettings | None = None, **fields: object
) -> Encoding:
    """The direct encoding for pictures of any size and number of channels.

    Genomes are `(n, height * width * channels)`, row by row, channel innermost; uint8 or, with
    `genes="float"`, float32 in [0, 1].

    Args:
      image_shape: `(height, width, channels)`.
      settings: how genes are born and vary.
      **fields: of `DirectSettings`, where `settings` is not given.

    Raises:
      UserError: a setting is out of range.
    """
    s = settings or DirectSettings(**fields)  # type: ignore[arg-type]
    count = math.prod(image_shape)
    dtype = jnp.dtype(jnp.uint8 if s.genes == "int" else jnp.float32)

    def init(keys: Key[Array, " n"]) -> Array:
        if s.genes == "int":
            words = _random_words(keys, -(-count // 4))
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
            # A stream of its own: with crossover off, mutation draws what it always drew.
            cross_keys = jax.vmap(lambda key: jax.random.fold_in(key, 1))(keys)
            parents = cross(cross_keys, parents, mates)
        threshold = mutation_threshold(s.mutation_rate, generation)
        bits = _random_words(keys, count)
        genes = mutate(_to_unit(parents), bits, threshold, eta=s.eta)
        return _from_unit(genes, dtype)

    def render(genomes: Array) -> UInt8[Array, "n height width channels"]:
        if s.genes == "float":
            genomes = jnp.trunc(jnp.abs(genomes) * 255.0).astype(jnp.uint8)
        return genomes.reshape(-1, *image_shape)

    def render_float(genomes: Array) -> Float[Array, "n height width channels"]:
        scale = 255.0 if s.genes == "float" else 1.0
        return genomes.astype(jnp.float32).reshape(-1, *image_shape) * scale

    return Encoding("direct", s, image_shape, init, vary, render, render_float)
