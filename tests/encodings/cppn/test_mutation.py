"""Each operator's rate over 20,000 mutations, and all together against plain Python.

At three standard deviations, a rate that is off by 0.02 is found 99 times of 100. `make test-all`
does the same with 100,000.
"""

import dataclasses
import functools
from collections import Counter

import jax
import numpy as np
import pytest
import scipy.stats
from oracles import cppn_walker
from oracles.graphs import cppn, drifted

from qd_fool.encodings.cppn.graph import INPUTS
from qd_fool.encodings.cppn.mutation import GraphRates, mutate_graphs, words_needed
from qd_fool.encodings.randomness import random_words

OFF = GraphRates(
    weight=0.0, activation=0.0, add_edge=0.0, delete_edge=0.0, add_node=0.0, delete_node=0.0
)
OUTPUTS, NODES, EDGES = 3, 100, 200


@functools.partial(jax.jit, static_argnames="rates")
def mutated(graphs, key, rates):
    n, nodes = graphs.activation.shape
    words = random_words(jax.random.split(key, n), words_needed(nodes, graphs.source.shape[1]))
    return mutate_graphs(graphs, words, outputs=OUTPUTS, activations=4, rates=rates)


def mutate(graphs, rates, seed):
    """One mutation of each graph, on the host."""
    return jax.device_get(mutated(graphs, jax.random.key(seed), rates))


@pytest.fixture(scope="module", params=[20_000, pytest.param(100_000, marks=pytest.mark.long)])
def parents(request):
    """500 graphs that drifted for 30 mutations, each many times."""
    encoding = cppn((28, 28, 3), max_nodes=NODES, max_edges=EDGES)
    few = drifted(encoding, 500, 30)
    assert few.refused.sum() == 0
    return jax.tree.map(lambda a: np.repeat(a, request.param // 500, axis=0), few)


def edges_of(graphs):
    return (graphs.target < graphs.activation.shape[1]).sum(axis=1)


def assert_rate(happened, trials, rate):
    sigma = np.sqrt(trials * rate * (1 - rate))
    assert abs(happened - trials * rate) <= 3 * sigma, (happened / trials, rate)


def test_rates_are_the_originals():
    rates = {field.name: field.default for field in dataclasses.fields(GraphRates)}
    assert rates.pop("eta") == cppn_walker.ETA_M
    assert rates == cppn_walker.RATES


def test_weights_mutate_at_their_rate_with_the_originals_step(parents):
    children = mutate(parents, dataclasses.replace(OFF, weight=0.1), 1)
    alive = parents.target < NODES
    before, after = parents.weight[alive], children.weight[alive]
    changed = before != after
    # A weight at a bound that steps outwards stays: count those that can only move.
    inside = np.abs(before) < 10
    assert_rate(changed[inside].sum(), inside.sum(), 0.1)
    rng = np.random.default_rng(0)
    chosen = rng.choice(np.flatnonzero(changed & inside), 5_000, replace=False)
    reference = np.array([cppn_walker.mutate_weight(w, rng) for w in before[chosen]])
    assert scipy.stats.ks_2samp(
        after[chosen] - before[chosen], reference - before[chosen]
    ).pvalue > (0.0027)
    np.testing.assert_array_equal(parents.source, children.source)
    np.testing.assert_array_equal(parents.activation, children.activation)


def test_activations_are_drawn_anew_at_their_rate(parents):
    children = mutate(parents, dataclasses.replace(OFF, activation=0.1), 2)
    position = np.arange(NODES)[None]
    node = (position >= INPUTS) & (position < INPUTS + parents.hidden[:, None])
    node |= position >= NODES - OUTPUTS
    before, after = parents.activation[node], children.activation[node]
    assert_rate((before != after).sum(), node.sum(), 0.1 * 3 / 4)
    drawn = Counter(after[before != after].tolist())
    expected = Counter(before.tolist())
    share = np.array([sum(expected.values()) - expected[k] for k in range(4)], float)
    found = np.array([drawn[k] for k in range(4)], float)
    assert scipy.stats.chisquare(found, share / share.sum() * found.sum()).pvalue > 0.0027
    np.testing.assert_array_equal(parents.activation[~node], children.activation[~node])


def test_edges_are_added_at_their_rate(parents):
    children = mutate(parents, dataclasses.replace(OFF, add_edge=0.5), 3)
    grown = edges_of(children) - edges_of(parents)
    assert set(np.unique(grown)) == {0, 1}
    assert_rate(grown.sum(), len(grown), 0.5)
    np.testing.assert_array_equal(parents.hidden, children.hidden)
    kept = np.sum(children.weight, axis=1) - np.sum(parents.weight, axis=1)
    added = kept[grown == 1]
    assert scipy.stats.kstest(added, scipy.stats.uniform(-10, 20).cdf).pvalue > 0.0027


def test_edges_are_deleted_at_their_rate(parents):
    children = mutate(parents, dataclasses.replace(OFF, delete_edge=0.3), 4)
    lost = edges_of(parents) - edges_of(children)
    assert set(np.unique(lost)) == {0, 1}
    assert_rate(lost.sum(), (edges_of(parents) > 0).sum(), 0.3)


def test_nodes_are_added_at_their_rate_and_inherit_the_weight(parents):
    children = mutate(parents, dataclasses.replace(OFF, add_node=0.5), 5)
    grown = children.hidden - parents.hidden
    assert set(np.unique(grown)) == {0, 1}
    assert_rate(grown.sum(), (edges_of(parents) > 0).sum(), 0.5)
    np.testing.assert_array_equal(edges_of(children) - edges_of(parents), grown)
    for i in np.flatnonzero(grown)[:300]:
        before = Counter(parents.weight[i][parents.target[i] < NODES].tolist())
        after = Counter(children.weight[i][children.target[i] < NODES].tolist())
        (weight,) = (after - before).elements()  # one weight more, and it was there before
        assert weight in before


def test_nodes_are_deleted_at_their_rate_with_their_edges(parents):
    children = mutate(parents, dataclasses.replace(OFF, delete_node=0.2), 6)
    lost = parents.hidden - children.hidden
    assert set(np.unique(lost)) == {0, 1}
    assert_rate(lost.sum(), (parents.hidden > 0).sum(), 0.2)
    # Uniform over hidden nodes: their mean degree is that of all hidden nodes.
    degree = edges_of(parents) - edges_of(children)
    hidden_ends = sum(
        ((e >= INPUTS) & (e < INPUTS + parents.hidden[:, None])).sum(axis=1)
        for e in (parents.source, parents.target)
    )
    expected = (hidden_ends / np.maximum(parents.hidden, 1))[lost == 1]
    gap = degree[lost == 1] - expected
    assert abs(gap.mean()) < 3 * gap.std() / np.sqrt(len(gap))


@pytest.mark.parametrize("graph", [3, 77, 123])
def test_new_edges_are_uniform_over_what_makes_no_cycle(parents, graph):
    """At least 10,000 children a graph, of some 200 possible edges."""
    each, many = len(parents.hidden) // 500, len(parents.hidden) // 2
    one = jax.tree.map(lambda a: a[graph * each : graph * each + 1].copy(), parents)
    describe = cppn((28, 28, 3), max_nodes=NODES, max_edges=EDGES).describe
    plain = describe(one, 0)
    hidden = cppn_walker.ids_of(plain, "hidden")
    # Nodes may move, to stay in order: numbers in place of activations tell who is who.
    one.activation[0, hidden] = hidden
    copies = jax.tree.map(lambda a: np.repeat(a, many, axis=0), one)
    children = mutate(copies, dataclasses.replace(OFF, add_edge=1.0), 7)
    name = children.activation.astype(int)
    name[:, NODES - OUTPUTS :] = np.arange(NODES - OUTPUTS, NODES)
    name[:, :INPUTS] = np.arange(INPUTS)
    weights = one.weight[0][one.target[0] < NODES]
    new = (children.target < NODES) & ~np.isin(children.weight, weights)
    assert np.all(new.sum(axis=1) == 1)
    row = np.arange(many)
    source, target = (name[row, ends[new]] for ends in (children.source, children.target))
    found = Counter(zip(source.tolist(), target.tolist(), strict=True))

    expected = {}
    sources = cppn_walker.ids_of(plain, "input", "hidden")
    for s in sources:
        above = cppn_walker.ancestors_or_self(plain, s)
        targets = [t for t in cppn_walker.ids_of(plain, "hidden", "output") if t not in above]
        expected |= {(s, t): 1 / len(sources) / len(targets) for t in targets}
    assert set(found) <= set(expected)
    counts = np.array([[found[pair], share * many] for pair, share in expected.items()])
    assert scipy.stats.chisquare(counts[:, 0], counts[:, 1]).pvalue > 0.0027
    assert np.any(target < source) or len(hidden) < 2  # in the parent's numbers: some turned round


def test_all_together_grow_as_plain_python_does():
    """Nodes and edges after 30 mutations, against the original's steps without capacity.

    The growth of 150 graphs has a standard error of 3%, so that one of 15% more is found 99 times
    of 100.
    """
    encoding = cppn((28, 28, 3), max_nodes=NODES, max_edges=EDGES)
    result = drifted(encoding, 500, 30, seed=3)
    assert result.refused.sum() == 0
    rng = np.random.default_rng(4)
    nodes, edges = [], []
    for _ in range(150):
        graph = cppn_walker.new_graph(rng, OUTPUTS)
        for _ in range(30):
            graph, _ = cppn_walker.mutate(graph, rng)
        nodes.append(len(graph["nodes"]))
        edges.append(len(graph["edges"]))
    for found, reference in ((result.hidden + INPUTS + OUTPUTS, nodes), (edges_of(result), edges)):
        error = np.sqrt(np.var(found) / len(found) + np.var(reference) / len(reference))
        assert abs(np.mean(found) - np.mean(reference)) < 3 * error


def test_capacity_refuses_and_counts():
    encoding = cppn((28, 28, 3), max_nodes=8, max_edges=12)
    full = drifted(encoding, 200, 0)
    one_more = mutate(full, dataclasses.replace(OFF, add_edge=1.0), 0)
    assert np.all(one_more.refused == full.refused + 1)
    for name in ("source", "target", "weight", "activation", "hidden"):
        np.testing.assert_array_equal(getattr(one_more, name), getattr(full, name))
    old = drifted(encoding, 200, 100)
    assert old.hidden.max() <= 1
    assert edges_of(old).max() <= 12
    assert old.refused.sum() > 0


def test_an_edgeless_graph_survives_every_operator():
    encoding = cppn((28, 28, 3), delete_edge=1.0, add_edge=0.0, add_node=0.0)
    bare = drifted(encoding, 50, 12)
    assert edges_of(bare).max() == 0
    rates = GraphRates(add_node=1.0, delete_node=1.0, add_edge=0.0, delete_edge=1.0)
    again = mutate(bare, rates, 1)
    np.testing.assert_array_equal(edges_of(again), 0)
    assert again.refused.sum() == 0
