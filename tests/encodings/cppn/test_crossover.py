"""Recombination against what it promises: pictures made of the parents' own outputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.cppn_walker import walk
from oracles.graphs import cppn, drifted

from qd_fool.encodings.cppn.crossover import cross_graphs
from qd_fool.encodings.cppn.graph import edge_count
from qd_fool.encodings.cppn.mutation import zoom_graphs

FIRST, SECOND, BOTH = 0, 1, 2


@pytest.fixture(scope="module")
def encoding():
    return cppn((9, 9, 3))


@pytest.fixture(scope="module")
def parents(encoding):
    first = jax.tree.map(jnp.asarray, drifted(encoding, 16, 25))
    return first, jax.tree.map(lambda a: a[::-1], first)


cross = jax.jit(cross_graphs, static_argnames="outputs")


def crossed(parents, *choice):
    words = jnp.broadcast_to(jnp.asarray(choice, jnp.uint32), (16, 3))
    return cross(*parents, words, outputs=3)


def outputs(encoding, graphs):
    """`(n, height, width, outputs)` by the float64 walker."""
    graphs = jax.device_get(graphs)
    return np.stack([walk(encoding.describe(graphs, i), 9, 9) for i in range(16)])


@pytest.mark.parametrize("choice", [(FIRST,) * 3, (SECOND,) * 3, (FIRST, SECOND, FIRST)])
def test_each_output_is_one_parents(encoding, parents, choice):
    reference = [outputs(encoding, p) for p in parents]
    expected = np.stack([reference[c][..., i] for i, c in enumerate(choice)], axis=-1)
    np.testing.assert_allclose(outputs(encoding, crossed(parents, *choice)), expected, atol=1e-9)


def test_an_output_of_both_has_the_edges_of_both(parents):
    nodes = parents[0].activation.shape[1]
    into_last = [np.sum(np.asarray(p.target) == nodes - 1, axis=1) for p in parents]
    child = crossed(parents, FIRST, FIRST, BOTH)
    np.testing.assert_array_equal(
        np.sum(np.asarray(child.target) == nodes - 1, axis=1), into_last[0] + into_last[1]
    )


def test_children_are_in_order_and_hold_only_what_matters(parents):
    child = jax.device_get(crossed(parents, BOTH, FIRST, SECOND))
    nodes = child.activation.shape[1]
    for i, count in enumerate(np.asarray(edge_count(child))):
        source, target = child.source[i, :count], child.target[i, :count]
        assert (source < target).all()
        assert (np.diff(target) >= 0).all()
        assert set(range(4, 4 + child.hidden[i])) <= set(source)
        assert target.max() < nodes
        assert (child.weight[i, count:] == 0).all()


def test_a_child_without_room_is_its_first_parent_and_counted(parents):
    small = cppn((9, 9, 3), max_nodes=12, max_edges=24)
    first = jax.tree.map(jnp.asarray, drifted(small, 16, 25))
    second = jax.tree.map(lambda a: a[::-1], first)
    words = jnp.full((16, 3), BOTH, jnp.uint32)
    child = cross(first, second, words, outputs=3)
    refused = np.asarray(child.refused - first.refused) == 1
    assert 0 < refused.sum() < 16
    np.testing.assert_array_equal(
        np.asarray(child.weight)[refused], np.asarray(first.weight)[refused]
    )
    assert (np.asarray(child.refused - first.refused)[~refused] == 0).all()


def test_zoom_scales_columns_and_rows_together(parents):
    first = parents[0]
    words = jnp.asarray(np.linspace(0, 2**32 - 1, 16), jnp.uint32)
    zoomed = zoom_graphs(first, words)
    factor = np.exp2(np.asarray(words) / 2**32 * 2 - 1)[:, None]
    weight, source = np.asarray(first.weight), np.asarray(first.source)
    expected = np.where(source < 2, np.clip(weight * factor, -10, 10), weight)
    np.testing.assert_allclose(zoomed.weight, expected, rtol=1e-5)
