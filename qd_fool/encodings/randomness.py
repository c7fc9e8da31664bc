"""Random words and what encodings draw from them."""

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32
from jaxtyping import Array, Bool, Float, Int, Key, UInt32


def random_words(keys: Key[Array, " n"], count: int) -> UInt32[Array, "n count"]:
    """`count` uniform words a key.

    `jax.random.bits` spends a whole Threefry block on each 32-bit word and throws half of it away;
    this takes both halves, which halves what mutation costs.
    """
    counters = jnp.arange(count, dtype=jnp.uint32)
    # Keys of other kinds than Threefry's hold more words than its two.
    data = jax.random.key_data(keys).reshape(len(keys), -1)[:, :2]
    return jax.vmap(lambda pair: threefry_2x32(pair, counters))(data)


def as_threshold(probability: float) -> int:
    """A probability in [0, 1] as a threshold for uniform words: `word < threshold`."""
    return min(round(probability * 2**32), 2**32 - 1)


def happens(words: UInt32[Array, "*n"], probability: float) -> Bool[Array, "*n"]:
    """A coin a word, true with the given probability (to within 2^-32)."""
    return words < jnp.uint32(as_threshold(probability))


def unit(words: UInt32[Array, "*n"]) -> Float[Array, "*n"]:
    """Uniform floats in [0, 1), multiples of 2^-24."""
    return (words >> 8).astype(jnp.float32) * jnp.float32(2**-24)


def pick(words: UInt32[Array, "*n"], counts: Int[Array, "*n"]) -> Int[Array, "*n"]:
    """Uniform integers in [0, counts); 0 where there is nothing to pick from.

    Exact to within counts * 2^-24, which no experiment can see.
    """
    draws = jnp.floor(unit(words) * counts.astype(jnp.float32)).astype(jnp.int32)
    return jnp.clip(draws, 0, jnp.maximum(counts - 1, 0))


def run_key(seed: Array | int) -> Key[Array, ""]:
    """The key from which all randomness of a run follows."""
    # Threefry by name: a user's jax_default_prng_impl must not change results.
    return jax.random.key(seed, impl="threefry2x32")
