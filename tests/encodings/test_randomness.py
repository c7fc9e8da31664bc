"""Random words against JAX's Threefry and the known answers of its authors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32

from qd_fool.encodings.randomness import random_words, run_key


@pytest.mark.parametrize("count", [1, 2, 7, 1000, 1001])
def test_words_are_those_of_jax(count):
    keys = jax.random.split(run_key(3), 3)
    counters = jnp.arange(count, dtype=jnp.uint32)
    words_of_jax = [threefry_2x32(pair, counters) for pair in jax.random.key_data(keys)]
    words = random_words(keys, count)
    assert words.dtype == jnp.uint32
    np.testing.assert_array_equal(words, words_of_jax)


def test_the_first_word_is_the_known_answer():
    # Random123 1.14, tests/kat_vectors: threefry2x32, 20 rounds, counter and key 0.
    key = jax.random.wrap_key_data(jnp.zeros(2, jnp.uint32), impl="threefry2x32")
    assert int(random_words(key[None], 1)[0, 0]) == 0x6B200159


def test_a_key_of_another_kind_gives_its_first_two_words():
    key = jax.random.key(5, impl="rbg")
    same = jax.random.wrap_key_data(jax.random.key_data(key)[:2], impl="threefry2x32")
    np.testing.assert_array_equal(random_words(key[None], 9), random_words(same[None], 9))
