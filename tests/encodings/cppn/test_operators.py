"""One change at a time: what each operator changes in a graph, and what it leaves alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles.graphs import cppn, drifted

from qd_fool.encodings.cppn.graph import INPUTS
from qd_fool.encodings.cppn.operators import TUNED

NODES, EDGES, MANY = 40, 80, 4000


@pytest.fixture(scope="module")
def encoding():
    return cppn((28, 28, 3), max_nodes=NODES, max_edges=EDGES, coords="raw")


@pytest.fixture(scope="module")
def parents(encoding):
    few = drifted(encoding, 200, 8)
    return jax.tree.map(lambda a: np.repeat(a, MANY // 200, axis=0), few)


@pytest.fixture(scope="module")
def children(encoding, parents):
    """Offspring of each operator, from one program."""
    keys, steps = jax.random.split(jax.random.key(5), MANY), jnp.full(MANY, 0.01)
    make = jax.jit(lambda p: {n: o.vary(keys, p, p, steps) for n, o in encoding.operators.items()})
    return jax.device_get(make(parents))


def edges_of(graphs):
    return (graphs.target < NODES).sum(axis=1)


def test_a_fine_step_moves_weights_only(parents, children):
    fine = children["fine"]
    for name in ("activation", "source", "target", "hidden"):
        np.testing.assert_array_equal(getattr(fine, name), getattr(parents, name))
    alive = (parents.target < NODES) & (np.abs(parents.weight) < 9)
    step = (fine.weight - parents.weight)[alive]
    assert np.mean(step != 0) == pytest.approx(TUNED, abs=0.01)
    assert not fine.weight[parents.target >= NODES].any()

    # Weights on raw columns and rows, 0 to 27, move 27 times less than those of the bias.
    source = parents.source[alive]
    means = [np.abs(step[(source == k) & (step != 0)]).mean() for k in (0, 1, 3)]
    assert means == pytest.approx([0.01 / 27, 0.01 / 27, 0.01], rel=0.1)
    moved = step[(source == 3) & (step != 0)]
    assert abs(np.mean(moved > 0) - 0.5) < 0.03
    # Laplace's distribution: the root of the mean square is sqrt(2) times the mean size.
    assert np.sqrt(np.mean(moved**2)) == pytest.approx(np.sqrt(2) * 0.01, rel=0.1)


@pytest.mark.parametrize(("name", "edges", "hidden"), [("edge", 1, 0), ("node", 1, 1)])
def test_one_part_is_added(parents, children, name, edges, hidden):
    graphs = children[name]
    fits = graphs.refused == 0
    assert fits.mean() > 0.95
    added = (edges_of(graphs) - edges_of(parents))[fits]
    # A source whose every target would make a cycle adds nothing.
    assert set(added) <= {0, edges}
    assert (added == edges).mean() > 0.99
    assert set((graphs.hidden - parents.hidden)[fits]) <= {0, hidden}


def test_one_part_is_dropped(parents, children):
    graphs = children["prune"]
    fewer, gone = edges_of(parents) - edges_of(graphs), parents.hidden - graphs.hidden
    assert set(gone) == {0, 1}
    assert (fewer[gone == 0] <= 1).all()
    with_nodes = parents.hidden > 0
    assert gone[with_nodes].mean() == pytest.approx(0.5, abs=0.03)


def test_functions_are_drawn_anew_and_nothing_else(parents, children):
    graphs = children["function"]
    for name in ("source", "target", "hidden"):
        np.testing.assert_array_equal(getattr(graphs, name), getattr(parents, name))
    changed = graphs.activation != parents.activation
    assert changed.any()
    assert not changed[:, :INPUTS].any()


def test_recombination_takes_outputs_of_both(encoding, parents):
    """With equal parents, each output draws one of them or both."""
    keys, steps = jax.random.split(jax.random.key(5), 200), jnp.full(200, 0.01)
    few = jax.tree.map(lambda a: jnp.asarray(a[:200]), parents)
    mates = jax.tree.map(lambda a: a[::-1], few)
    recombine = jax.jit(encoding.operators["recombine"].vary)
    child = jax.device_get(recombine(keys, few, mates, steps))
    outputs = slice(NODES - 3, NODES)
    of_first = child.activation[:, outputs] == few.activation[:, outputs]
    of_second = child.activation[:, outputs] == mates.activation[:, outputs]
    assert (of_first | of_second).all()
    assert (~of_first).any()


def test_too_many_edges_leave_recombination_out():
    assert "recombine" not in cppn((28, 28, 1), max_nodes=600, max_edges=800).operators
