"""Random words, and the numbers that encodings draw from them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, UInt32

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
"""Bits to rotate by in the rounds of Threefry-2x32, in groups of four that take turns."""

PARITY = 0x1BD11BDA
"""Constant of Threefry's key schedule."""


def random_words(keys: Key[Array, " n"], count: int) -> UInt32[Array, "n count"]:
    """Draw `count` uniform words per key: those of `jax.extend.random.threefry_2x32`.

    `jax.random.bits` spends a whole Threefry block on each 32-bit word, and drops half of it. This
    function takes both halves. On CPU, JAX compiles Threefry as a loop whose rounds pass through
    memory; written out, the rounds are fused and much faster.

    Source: Salmon et al. (2011), Parallel random numbers: as easy as 1, 2, 3; Threefry-2x32-20.
    """
    # A Threefry key has two words. Keys of other kinds hold more: the first two are taken.
    data = jax.random.key_data(keys).reshape(len(keys), -1)[:, :2]
    schedule = data[:, :1], data[:, 1:], data[:, :1] ^ data[:, 1:] ^ jnp.uint32(PARITY)

    # Each block is two counters, one of each half of 0 .. count - 1. An odd count ends with a 0.
    half = -(-count // 2)
    counters = jnp.arange(half, dtype=jnp.uint32)
    first = counters[None] + schedule[0]
    second = jnp.where(counters + half < count, counters + half, 0)[None] + schedule[1]

    # Twenty rounds, and a part of the key after every fourth.
    for group in range(5):
        for bits in ROTATIONS[group % 2]:
            first = first + second
            second = ((second << bits) | (second >> (32 - bits))) ^ first
        first = first + schedule[(group + 1) % 3]
        second = second + schedule[(group + 2) % 3] + jnp.uint32(group + 1)
    return jnp.concatenate([first, second], axis=1)[:, :count]


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
