"""Random CPPN genomes for tests and benchmarks: what evolution without selection leaves."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from qd_fool.encodings import make_encoding
from qd_fool.encodings.color import resolve_color
from qd_fool.encodings.cppn.activations import ACTIVATIONS


@functools.cache
def cppn(image_shape, **settings):
    """An encoding made, and compiled, once for all tests that ask for the same."""
    return make_encoding("cppn", image_shape, **settings)


@functools.cache
def _aging(settings, channels):
    """A function `(keys, mutations) -> genomes`, compiled once for all ages."""
    encoding = make_encoding("cppn", (2, 2, channels), **dataclasses.asdict(settings))

    @jax.jit
    def age(keys, mutations):
        def once(i, genomes):
            step_keys = jax.vmap(lambda key: jax.random.fold_in(key, i))(keys)
            return encoding.vary(step_keys, genomes, genomes, jnp.int32(1))

        return jax.lax.fori_loop(0, mutations, once, encoding.init(keys))

    return age


def _ageing_of(encoding):
    """The function that `encoding` shares with all whose graphs vary alike: size of the pictures,
    coordinates, names of the activations and the meaning of the outputs make no difference."""
    settings, channels = encoding.settings, encoding.image_shape[2]
    gray = resolve_color(settings.color, channels) == "gray"
    names = list(ACTIVATIONS)[: len(settings.activations.split(","))]
    alike = dataclasses.replace(
        settings, coords="raw", coords_scale=8.0, color=None, activations=",".join(names)
    )
    return _aging(alike, 1 if gray else 3)


def drifted(encoding, count: int, mutations: int, *, seed: int = 0):
    """`count` random genomes, each varied `mutations` times; on the host."""
    # In batches of few sizes, for each of which the function is compiled.
    batch = next((size for size in (16, 128, 512) if count <= size), count)
    keys = jax.random.split(jax.random.key(seed), batch)
    genomes = jax.device_get(_ageing_of(encoding)(keys, mutations))
    return jax.tree.map(lambda a: a[:count], genomes)


def mixed_ages(encoding, per_age: int, ages, *, seed: int = 0):
    """Genomes of several ages in one population; on the host."""
    parts = [drifted(encoding, per_age, n, seed=seed + k) for k, n in enumerate(ages)]
    return jax.tree.map(lambda *a: np.concatenate(a), *parts)
