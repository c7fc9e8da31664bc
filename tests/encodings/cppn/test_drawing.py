"""Rendering against the float64 walker, and the two players against each other."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.cppn_walker import to_bytes, walk
from oracles.graphs import cppn, drifted, mixed_ages

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


def test_gray_28x28_equals_the_walker_in_999_of_1000_bytes():
    encoding = cppn((28, 28, 1))
    genomes = mixed_ages(encoding, 39, AGES)
    nodes = genomes.hidden + 5
    assert len(nodes) >= 1000
    assert nodes.min() == 5
    assert nodes.max() >= 60
    images = np.asarray(encoding.render(genomes))
    expected = plain_bytes(encoding, genomes, (28, 28))
    assert np.mean(images == expected) >= 0.999
    # Flat and smooth pictures differ by one byte; where not, sines of sines amplified a rounding.
    assert np.mean(np.abs(images.astype(int) - expected) > 1) < 1e-4


def test_rgb_256x256_equals_the_walker_in_995_of_1000_bytes():
    """On fewer genomes than benchmarks/cppn_exactness.py, for time."""
    encoding = cppn((256, 256, 3), color="rgb")
    genomes = mixed_ages(encoding, 2, AGES)
    images = np.asarray(encoding.render(genomes))
    assert np.mean(images == plain_bytes(encoding, genomes, (256, 256))) >= 0.995


def test_normalized_coordinates_equal_the_walkers():
    encoding = cppn((28, 28, 1), coords="normalized", coords_scale=6.0)
    genomes = mixed_ages(encoding, 10, AGES)
    expected = plain_bytes(encoding, genomes, (28, 28), coords="normalized", coords_scale=6.0)
    assert np.mean(np.asarray(encoding.render(genomes)) == expected) >= 0.999


def test_without_sine_and_with_tanh_equal_the_walkers():
    names = "tanh,sigmoid,gaussian,linear"
    encoding = cppn((28, 28, 1), activations=names)
    genomes = mixed_ages(encoding, 10, AGES)
    expected = plain_bytes(encoding, genomes, (28, 28))
    assert np.mean(np.asarray(encoding.render(genomes)) == expected) >= 0.999


def values_of(player, genomes, outputs, grid):
    nodes = genomes.activation.shape[1]
    tapes = write_tapes(jax.tree.map(jnp.asarray, genomes), outputs=outputs, at_zero=ZEROS)
    finish = lambda values: jnp.moveaxis(values, -2, -1)
    return np.asarray(player(tapes, grid, Playing(nodes, FUNCTIONS, finish)))


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
    one = values_of(_one_by_one, genomes, 3, tiles)
    step = values_of(_in_step, genomes, 3, tiles)
    chosen = values_of(play, genomes, 3, grid)
    one, step = (v.reshape(len(v), -1, 3)[:, : grid.shape[1]] for v in (one, step))
    np.testing.assert_array_equal(one, chosen)
    gap = np.abs(step - one)
    assert np.mean(gap > 1e-5) < 2e-3
    assert np.median(gap) == 0


def test_nodes_without_effect_change_no_picture(genomes, grid):
    """A hidden node with an input, that nothing depends on."""
    nodes = genomes.activation.shape[1]
    room = (genomes.hidden < nodes - 4 - 3 - 1) & ((genomes.target < nodes).sum(1) < 150)
    few = jax.tree.map(lambda a: a[room].copy(), genomes)
    before = values_of(play, few, 3, grid)
    for i in range(len(few.hidden)):
        new = 4 + few.hidden[i]
        count = int((few.target[i] < nodes).sum())
        at = int((few.target[i] < new).sum())
        for name, value in (("source", 0), ("target", new), ("weight", 5.0)):
            row = getattr(few, name)[i]
            row[at + 1 : count + 1] = row[at:count].copy()
            row[at] = value
        few.activation[i, new] = 2
    few = dataclasses.replace(few, hidden=few.hidden + 1)
    np.testing.assert_array_equal(values_of(play, few, 3, grid), before)


def test_a_node_without_edges_emits_f_of_zero():
    encoding = cppn((28, 28, 3), delete_edge=1.0, add_edge=0.0, add_node=0.0)
    bare = drifted(encoding, 60, 12)
    values = values_of(play, bare, 3, np.ones((4, 5), np.float32))
    expected = (bare.activation[:, -3:] == NAMES.index("gaussian")).astype(np.float32)
    np.testing.assert_array_equal(values, np.broadcast_to(expected[:, None], values.shape))
    assert 0 < expected.mean() < 1


def test_vmapped_over_seeds_gives_the_same(genomes):
    encoding = cppn((28, 28, 3))
    pairs = jax.tree.map(lambda a: jnp.asarray(a[:20]).reshape(2, 10, *a.shape[1:]), genomes)
    both = jax.jit(jax.vmap(encoding.render))(pairs)
    flat = encoding.render(jax.tree.map(lambda a: jnp.asarray(a[:20]), genomes))
    np.testing.assert_array_equal(np.asarray(both).reshape(flat.shape), flat)
