"""A network of one layer and a run against it, small enough to be compiled in no time."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

import qd_fool
from qd_fool import map_elites as me
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.map_elites.segments import make_segment

SIZE, CLASSES = 6, 5


def linear_scorer(weights=None, classes=CLASSES):
    return random_scorer(classes) if weights is None else make_scorer(weights, classes)


@functools.cache
def random_scorer(classes):
    return make_scorer(np.random.default_rng(0).normal(size=(SIZE * SIZE, classes)), classes)


def make_scorer(weights, classes):
    scorer = qd_fool.load_scorer("lenet")
    return dataclasses.replace(
        scorer,
        name="linear",
        params=jnp.asarray(weights, jnp.float32),
        apply=lambda w, x: x.reshape(x.shape[0], -1) @ w,
        preprocess=lambda x: x / 256,
        image_shape=(SIZE, SIZE, 1),
        input_size=SIZE,
        class_names=tuple("abcdefghijklmnopqrstuvwxyz"[:classes]),
    )


@functools.cache
def tiny_encoding(name, image_shape):
    small = {"max_nodes": 12, "max_edges": 20} if name == "cppn" else {}
    return qd_fool.make_encoding(name, image_shape, **small)


def tiny(scorer=None, *, encoding="direct", **fields):
    scorer = scorer or linear_scorer()
    encoding = tiny_encoding(encoding, scorer.image_shape)
    return scorer, encoding, me.MapElitesConfig(**{"batch_size": 20, "chunk": 4} | fields)


def run(scorer, encoding, config, *, devices=1, cut=(7,), length=8, seed=0, log_offspring=False):
    """Evolve in segments of the given lengths; the final state and the rows of the log."""
    mesh, segment = compiled(
        scorer, encoding, config, devices=devices, length=length, log_offspring=log_offspring
    )
    cells = len(scorer.class_names)
    state = replicate(me.init(encoding, cells, seed=seed, feedback=config.feedback), mesh)
    params = replicate(scorer.params, mesh)
    logs = []
    for count in cut:
        state, log = segment(state, params, np.int32(count))
        logs.append(jax.tree.map(lambda a, n=count: np.asarray(a)[:n], log))
    return jax.device_get(state), jax.tree.map(lambda *a: np.concatenate(a), *logs)


@functools.cache
def compiled(scorer, encoding, config, *, devices, length, log_offspring):
    """The mesh and the program, which tests with the same settings share."""
    mesh = make_mesh(devices)
    return mesh, make_segment(
        scorer, encoding, config, mesh=mesh, length=length, log_offspring=log_offspring
    )


def assert_equal(a, b):
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(left, right)
