"""Random CPPN genomes for tests and benchmarks: what evolution without selection leaves."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from qd_fool.encodings import make_encoding


@functools.cache
def cppn(image_shape, **settings):
    """An encoding made, and compiled, once for all tests that ask for the same."""
    return make_encoding("cppn", image_shape, **settings)


@functools.cache
def _aging(encoding):
    """A function `(keys, mutations) -> genomes`, compiled once for all ages."""

    @jax.jit
    def age(keys, mutations):
        def once(i, genomes):
            own = jax.vmap(lambda key: jax.random.fold_in(key, i))(keys)
            return encoding.vary(own, genomes, genomes, jnp.int32(1))

        return jax.lax.fori_loop(0, mutations, once, encoding.init(keys))

    return age


def drifted(encoding, count: int, mutations: int, *, seed: int = 0):
    """`count` random genomes, each varied `mutations` times; on the host."""
    return jax.device_get(
        _aging(encoding)(jax.random.split(jax.random.key(seed), count), mutations)
    )


def mixed_ages(encoding, per_age: int, ages, *, seed: int = 0):
    """Genomes of several ages in one population; on the host."""
    age = _aging(encoding)
    parts = [
        jax.device_get(age(jax.random.split(jax.random.key(seed + k), per_age), mutations))
        for k, mutations in enumerate(ages)
    ]
    return jax.tree.map(lambda *a: np.concatenate(a), *parts)
