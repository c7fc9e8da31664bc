"""Rendering against the float64 walker, and the two players against each other."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.cppn_walker import to_bytes, walk
from oracles.graphs import cppn, mixed_ages

from qd_fool.encodings.cppn.activations import ACTIVATIONS, at_zero
from qd_fool.encodings.cppn.drawing import (
    Playing,
    _in_step,
    _one_by_one,
    play,
    tiles_of,
    write_tapes,
)

AGES = range(0, 201, 8)  # 26 of them
NAMES = ("sine", "sigmoid", "gaussian", "linear")
FUNCTIONS = [ACTIVATIONS[name] for name in NAMES]
ZEROS = [at_zero(name) for name in NAMES]


def plain_bytes(encoding, genomes, size, **coords):
    """Bytes of the outputs by the walker, `(n, height, width, outputs)`."""
    return np.stack(
        [
            to_bytes(walk(encoding.describe(genomes, i), *size, **coords))
            for i in range(len(genomes.hidden))
        ]
    )


# 208 pictures are 163,000 bytes: a share of wrong ones above 1.3 in 1000 is found 99 times of 100.
@pytest.mark.parametrize("per_age", [8, pytest.param(39, marks=pytest.mark.long)])
def test_gray_28x28_equals_the_walker_in_999_of_1000_bytes(per_age):
    encoding = cppn((28, 28, 1))
    genomes = mixed_ages(encoding, per_age, AGES)
    nodes = genomes.hidden + 5
    assert nodes.min() == 5
    assert nodes.max() >= 60
    images = np.asarray(encoding.render(genomes))
    expected = plain_bytes(encoding, genomes, (28, 28))
    assert np.mean(images == expected) >= 0.999
    # Flat and smooth pictures differ by one byte; where not, sines of sines amplified a rounding.
    assert np.mean(np.abs(images.astype(int) - expected) > 1) < 1e-4


def test_rgb_256x256_equals_the_walker_in_995_of_1000_bytes():
    """On fewer genomes than benchmarks/cppn_exactness.py, for time: 2.4 million bytes."""
    encoding = cppn((256, 256, 3), color="rgb")
    genomes = mixed_ages(encoding, 2, AGES[::5])
    images = np.asarray(encoding.render(genomes))
    assert np.mean(images == plain_bytes(encoding, genomes, (256, 256))) >= 0.995


def test_normalized_coordinates_equal_the_walkers():
    encoding = cppn((28, 28, 1), coords="normalized", coords_scale=6.0)
    genomes = mixed_ages(encoding, 3, AGES)
    expected = plain_bytes(encoding, genomes, (28, 28), coords="normalized", coords_scale=6.0)
    assert np.mean(np.asarray(encoding.render(genomes)) == expected) >= 0.999


def test_without_sine_and_with_tanh_equal_the_walkers():
    names = "tanh,sigmoid,gaussian,linear"
    encoding = cppn((28, 28, 1), activations=names)
    genomes = mixed_ages(encoding, 3, AGES)
    expected = plain_bytes(encoding, genomes, (28, 28))
    assert np.mean(np.asarray(encoding.render(genomes)) == expected) >= 0.999


@functools.partial(jax.jit, static_argnames=("player", "outputs"))
def drawn(player, genomes, outputs, grid):
    nodes = genomes.activation.shape[1]
    tapes = write_tapes(genomes, outputs=outputs, at_zero=ZEROS)
    finish = lambda values: jnp.moveaxis(values, -2, -1)
    return player(tapes, grid, Playing(nodes, FUNCTIONS, finish))


def values_of(player, genomes, grid):
    """Compiled once a player: all populations here are of one size."""
    return np.asarray(drawn(player, genomes, 3, grid))


@pytest.fixture(scope="module")
def grid():
    rng = np.random.default_rng(0)
    inputs = rng.uniform(-1, 1, (4, 3000)).astype(np.float32)  # three tiles, the last one short
    inputs[3] = 1
    return inputs


@pytest.fixture(scope="module")
def genomes():
    encoding = cppn((28, 28, 3))
    return mixed_ages(encoding, 6, AGES)


def test_both_players_agree(genomes, grid):
    tiles = tiles_of(jnp.asarray(grid))
    one = values_of(_one_by_one, genomes, tiles)
    step = values_of(_in_step, genomes, tiles)
    chosen = values_of(play, genomes, grid)
    one, step = (v.reshape(len(v), -1, 3)[:, : grid.shape[1]] for v in (one, step))
    np.testing.assert_array_equal(one, chosen)
    gap = np.abs(step - one)
    assert np.mean(gap > 1e-5) < 2e-3
    assert np.median(gap) == 0


def test_nodes_without_effect_change_no_picture(genomes, grid):
    """A hidden node with an input, that nothing depends on."""
    nodes = genomes.activation.shape[1]
    room = (genomes.hidden < nodes - 4 - 3 - 1) & ((genomes.target < nodes).sum(1) < 150)
    assert room.sum() > 100
    more = jax.tree.map(np.copy, genomes)
    for i in np.flatnonzero(room):
        new = 4 + more.hidden[i]
        count = int((more.target[i] < nodes).sum())
        at = int((more.target[i] < new).sum())
        for name, value in (("source", 0), ("target", new), ("weight", 5.0)):
            row = getattr(more, name)[i]
            row[at + 1 : count + 1] = row[at:count].copy()
            row[at] = value
        more.activation[i, new] = 2
    more = dataclasses.replace(more, hidden=more.hidden + room)
    np.testing.assert_array_equal(values_of(play, more, grid), values_of(play, genomes, grid))


def test_a_node_without_edges_emits_f_of_zero(genomes, grid):
    nodes = genomes.activation.shape[1]
    bare = dataclasses.replace(
        genomes,
        source=np.zeros_like(genomes.source),
        target=np.full_like(genomes.target, nodes),
        weight=np.zeros_like(genomes.weight),
        hidden=np.zeros_like(genomes.hidden),
    )
    values = values_of(play, bare, grid)
    expected = (bare.activation[:, -3:] == NAMES.index("gaussian")).astype(np.float32)
    np.testing.assert_array_equal(values, np.broadcast_to(expected[:, None], values.shape))
    assert 0 < expected.mean() < 1


def test_vmapped_over_seeds_gives_the_same(genomes):
    encoding = cppn((28, 28, 3))
    pairs = jax.tree.map(lambda a: jnp.asarray(a[:20]).reshape(2, 10, *a.shape[1:]), genomes)
    both = jax.jit(jax.vmap(encoding.render))(pairs)
    flat = encoding.render(jax.tree.map(lambda a: jnp.asarray(a[:20]), genomes))
    np.testing.assert_array_equal(np.asarray(both).reshape(flat.shape), flat)
