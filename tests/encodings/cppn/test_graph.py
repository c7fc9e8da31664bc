import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.graphs import cppn, mixed_ages

from qd_fool.encodings.cppn.graph import INPUTS, edge_count, sort_edges, with_ancestors


@pytest.fixture(scope="module", params=[(1, 64, 160), (3, 40, 70)], ids=str)
def population(request):
    """Graphs of several ages; outputs and capacities vary."""
    outputs, nodes, edges = request.param
    color = "gray" if outputs == 1 else "hls"
    shape = (28, 28, 1 if outputs == 1 else 3)
    encoding = cppn(shape, color=color, max_nodes=nodes, max_edges=edges)
    return mixed_ages(encoding, 12, (0, 1, 10, 50, 150)), outputs


def test_genomes_keep_their_order(population):
    graphs, outputs = population
    nodes = graphs.activation.shape[1]
    for i in range(len(graphs.hidden)):
        source, target = graphs.source[i], graphs.target[i]
        count = int(np.sum(target < nodes))
        hidden_end = INPUTS + graphs.hidden[i]
        assert np.all(target[count:] == nodes)
        assert np.all(source[count:] == 0)
        assert np.all(graphs.weight[i, count:] == 0)
        source, target = source[:count], target[:count]
        assert np.all(np.diff(target) >= 0)
        assert np.all(source < target)  # acyclic, and in topological order
        assert np.all(source < hidden_end)
        assert np.all(target >= INPUTS)
        assert np.all((target < hidden_end) | (target >= nodes - outputs))
        assert np.all(np.abs(graphs.weight[i]) <= 10)
        free = np.r_[0:INPUTS, hidden_end : nodes - outputs]
        assert np.all(graphs.activation[i, free] == 0)
        assert graphs.activation[i].max() < 4


def test_parallel_edges_stay_separate(population):
    graphs, _ = population
    nodes = graphs.activation.shape[1]
    pairs = [
        list(zip(s[t < nodes], t[t < nodes], strict=True))
        for s, t in zip(graphs.source, graphs.target, strict=True)
    ]
    assert any(len(set(p)) < len(p) for p in pairs)


def test_ancestors_equal_a_plain_search(population):
    graphs, _ = population
    nodes = graphs.activation.shape[1]
    rng = np.random.default_rng(0)
    members = rng.random(graphs.activation.shape) < 0.05
    found = np.asarray(jax.jit(with_ancestors)(graphs, jnp.asarray(members)))
    for i in range(len(members)):
        expected = set(np.flatnonzero(members[i]))
        todo = list(expected)
        while todo:
            node = todo.pop()
            for s, t in zip(graphs.source[i], graphs.target[i], strict=True):
                if t == node < nodes and s not in expected:
                    expected.add(s)
                    todo.append(s)
        assert set(np.flatnonzero(found[i])) == expected


def test_sorting_shuffled_edges_restores_targets(population):
    graphs, _ = population
    order = np.random.default_rng(1).permutation(graphs.source.shape[1])
    mixed = dataclasses.replace(
        graphs,
        **{name: getattr(graphs, name)[:, order] for name in ("source", "target", "weight")},
    )
    again = jax.device_get(jax.jit(sort_edges)(mixed))
    np.testing.assert_array_equal(again.target, graphs.target)
    for i in range(0, len(graphs.hidden), 17):
        a = sorted(zip(again.target[i], again.source[i], again.weight[i], strict=True))
        b = sorted(zip(graphs.target[i], graphs.source[i], graphs.weight[i], strict=True))
        assert [tuple(map(float, x)) for x in a] == [tuple(map(float, x)) for x in b]


def test_edge_count(population):
    graphs, outputs = population
    counts = jax.jit(edge_count)(graphs)
    np.testing.assert_array_equal(counts, (graphs.target < graphs.activation.shape[1]).sum(axis=1))
    np.testing.assert_array_equal(counts[:12], 4 * outputs)
