"""Random words, and the numbers that encodings draw from them."""

import jax
import jax.numpy as jnp
from jax.extend.random import threefry_2x32
from jaxtyping import Array, Bool, Float, Int, Key, UInt32


def random_words(keys: Key[Array, " n"], count: int) -> UInt32[Array, "n count"]:
    """Draw `count` uniform words per key.

    `jax.random.bits` spends a whole Threefry block on each 32-bit word, and drops half of it. This
    function takes both halves, which halves the cost of mutation.
    """
    counters = jnp.arange(count, dtype=jnp.uint32)
    # A Threefry key has two words. Keys of other kinds hold more: the first two are taken.
    data = jax.random.key_data(keys).reshape(len(keys), -1)[:, :2]
    return jax.vmap(lambda pair: threefry_2x32(pair, counters))(data)


def as_threshold(probability: float) -> int:
    """Return a probability in [0, 1] as a threshold for uniform words: `word < threshold`."""
    return min(round(probability * 2**32), 2**32 - 1)


def happens(words: UInt32[Array, "*n"], probability: float) -> Bool[Array, "*n"]:
    """Toss one coin per word, true with the given probability (to within 2^-32)."""
    return words < jnp.uint32(as_threshold(probability))


def unit(words: UInt32[Array, "*n"]) -> Float[Array, "*n"]:
    """Return uniform floats in [0, 1), multiples of 2^-24."""
    return (words >> 8).astype(jnp.float32) * jnp.float32(2**-24)


def pick(words: UInt32[Array, "*n"], counts: Int[Array, "*n"]) -> Int[Array, "*n"]:
    """Return uniform integers in [0, counts); 0 where a count is 0.

    Probabilities are exact to within counts * 2^-24, which no experiment can see.
    """
    draws = jnp.floor(unit(words) * counts.astype(jnp.float32)).astype(jnp.int32)
    return jnp.clip(draws, 0, jnp.maximum(counts - 1, 0))


def run_key(seed: Array | int) -> Key[Array, ""]:
    """Return the key from which all randomness of a run follows."""
    # Threefry is named, because a user's jax_default_prng_impl must not change results.
    return jax.random.key(seed, impl="threefry2x32")
