"""Mutation of CPPN graphs, vectorised over a population. Shapes do not depend on the graphs' size.

Source: sferes/modules/nn2/gen_dnn_ff.hpp:83-161 and gen_dnn.hpp:311-387 of the original code, step
by step, in the same order. The one addition is capacity: a mutation that would exceed it is skipped
and counted.
"""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from qd_fool.encodings.cppn.graph import (
    Graphs,
    edge_count,
    hidden_mask,
    sort_edges,
    with_ancestors,
)
from qd_fool.encodings.cppn.settings import INPUTS, GraphRates
from qd_fool.encodings.randomness import as_threshold, happens, pick, unit
from qd_fool.encodings.variation import mutate

MAX_WEIGHT = 10.0
"""Largest absolute value of a weight."""

STRUCTURE_WORDS = 16
"""Random words per graph for the changes of structure: 11 are used."""


def words_needed(graphs_nodes: int, graphs_edges: int) -> int:
    """Return the number of random words that one mutation of one genome takes."""
    return STRUCTURE_WORDS + graphs_nodes + graphs_edges


def random_weight(words: UInt32[Array, "*n"]) -> Float[Array, "*n"]:
    """Return weights that are uniform in [-10, 10)."""
    return (unit(words) * 2.0 - 1.0) * MAX_WEIGHT


def mutate_graphs(
    graphs: Graphs,
    words: UInt32[Array, "n words"],
    *,
    outputs: int,
    activations: int,
    rates: GraphRates,
) -> Graphs:
    """Mutate each graph once: weights, activations, then structure.

    Args:
      graphs: Parents.
      words: Uniform words, `words_needed(...)` per graph.
      outputs: Number of output nodes.
      activations: Number of activations to draw from.
      rates: Probabilities of the six kinds of change.

    Returns:
      Graphs in order. The changes that were skipped for lack of capacity are added to `refused`.
    """
    # Split the words by use, and count in int32: positions are stored in smaller types.
    nodes = graphs.activation.shape[1]
    free, node_words, edge_words = jnp.split(
        words, [STRUCTURE_WORDS, STRUCTURE_WORDS + nodes], axis=1
    )
    dtypes = {name: a.dtype for name, a in vars(graphs).items()}
    graphs = dataclasses.replace(
        graphs,
        activation=graphs.activation.astype(jnp.int32),
        source=graphs.source.astype(jnp.int32),
        target=graphs.target.astype(jnp.int32),
    )

    # The six kinds of change, in the original's order.
    graphs = _mutate_weights(graphs, edge_words, rates)
    graphs = _mutate_activations(graphs, node_words, outputs, activations, rates)
    graphs = _add_edge(graphs, free[:, 0:4], outputs, rates.add_edge)
    graphs = _delete_edge(graphs, free[:, 4:6], rates.delete_edge)
    graphs = _add_node(graphs, free[:, 6:9], outputs, activations, rates.add_node)
    graphs = _delete_node(graphs, free[:, 9:11], outputs, rates.delete_node)

    # Added edges stand in free places, and dropped edges left some: sort once.
    graphs = sort_edges(graphs)
    return dataclasses.replace(
        graphs, **{name: a.astype(dtypes[name]) for name, a in vars(graphs).items()}
    )


def _mutate_weights(graphs: Graphs, words: UInt32[Array, "n edges"], rates: GraphRates) -> Graphs:
    """Let each weight take a polynomial step with a probability; free places keep weight 0."""
    threshold = jnp.uint32(as_threshold(rates.weight))
    weight = mutate(
        graphs.weight, words, threshold, eta=rates.eta, low=-MAX_WEIGHT, high=MAX_WEIGHT
    )
    alive = graphs.target < graphs.activation.shape[1]
    return dataclasses.replace(graphs, weight=jnp.where(alive, weight, 0.0))


def _mutate_activations(
    graphs: Graphs,
    words: UInt32[Array, "n nodes"],
    outputs: int,
    activations: int,
    rates: GraphRates,
) -> Graphs:
    """Draw the activation of each hidden node and output anew with a probability.

    The original also draws activations for inputs, which have no effect. Here inputs have none.
    """
    nodes = words.shape[1]
    is_output = jnp.arange(nodes)[None] >= nodes - outputs
    # The same word decides whether a node changes, and to what. Words below the threshold are still
    # uniform, so their remainders are uniform enough.
    drawn = (words % activations).astype(jnp.int32)
    changes = happens(words, rates.activation) & (hidden_mask(graphs) | is_output)
    return dataclasses.replace(graphs, activation=jnp.where(changes, drawn, graphs.activation))


def zoom_graphs(graphs: Graphs, words: UInt32[Array, " n"]) -> Graphs:
    """Scale a picture by a factor of one half to two: the weights of columns and rows together."""
    factor = jnp.exp2(unit(words) * 2.0 - 1.0)[:, None]
    scaled = jnp.clip(graphs.weight * factor, -MAX_WEIGHT, MAX_WEIGHT)
    return dataclasses.replace(graphs, weight=jnp.where(graphs.source < 2, scaled, graphs.weight))


def _nth(mask: Bool[Array, "n places"], nth: Int[Array, " n"]) -> Bool[Array, "n places"]:
    """Return the nth true place of each row as a one-hot mask; all false if there are fewer."""
    return mask & (jnp.cumsum(mask, axis=1, dtype=jnp.int32) - 1 == nth[:, None])


def _at(values: Array, place: Bool[Array, "n places"]) -> Array:
    """Return the value of each row at a one-hot place; 0 where there is none."""
    return jnp.sum(jnp.where(place, values, 0), axis=1, dtype=values.dtype)


def _append_edge(
    graphs: Graphs, where: Bool[Array, " n"], source: Array, target: Array, weight: Array
) -> Graphs:
    """Write one edge into the first free place of each graph where `where` is true."""
    free = graphs.target >= graphs.activation.shape[1]
    place = _nth(free, jnp.zeros_like(source)) & where[:, None]
    return dataclasses.replace(
        graphs,
        source=jnp.where(place, source[:, None], graphs.source),
        target=jnp.where(place, target[:, None], graphs.target),
        weight=jnp.where(place, weight[:, None], graphs.weight),
    )


def _drop_edges(graphs: Graphs, dropped: Bool[Array, "n edges"]) -> Graphs:
    """Make the places of some edges free."""
    return dataclasses.replace(
        graphs,
        source=jnp.where(dropped, 0, graphs.source),
        target=jnp.where(dropped, graphs.activation.shape[1], graphs.target),
        weight=jnp.where(dropped, 0.0, graphs.weight),
    )


def _add_edge(
    graphs: Graphs, words: UInt32[Array, "n 4"], outputs: int, probability: float
) -> Graphs:
    """Add an edge with a probability, from any source to any target that makes no cycle.

    The source is an input or a hidden node. The target is a hidden node or an output, but neither
    the source nor an ancestor of the source.
    """
    # 1. Draw the source and the target.
    nodes, edges = graphs.activation.shape[1], graphs.source.shape[1]
    position = jnp.arange(nodes, dtype=jnp.int32)[None]
    hidden = hidden_mask(graphs)
    wanted = happens(words[:, 0], probability)
    source = pick(words[:, 1], INPUTS + graphs.hidden)
    above = with_ancestors(graphs, position == source[:, None])
    eligible = (hidden | (position >= nodes - outputs)) & ~above
    nth = pick(words[:, 2], jnp.sum(eligible, axis=1, dtype=jnp.int32))
    target = _at(position, _nth(eligible, nth))

    # 2. Write the edge, if the graph has a free place.
    room = edge_count(graphs) < edges
    added = wanted & room
    graphs = dataclasses.replace(graphs, refused=graphs.refused + (wanted & ~room))
    graphs = _append_edge(graphs, added, source, target, random_weight(words[:, 3]))

    # 3. Every edge must lead from a lower to a higher position. If the target precedes the source,
    # the source and its ancestors move before all other hidden nodes. Each group keeps its order.
    # No other edge is turned round by that, because ancestors of ancestors move as well.
    turned = (added & (target < source))[:, None] & hidden
    first = turned & above
    rank_first = jnp.cumsum(first, axis=1, dtype=jnp.int32) - 1
    rank_last = jnp.cumsum(turned & ~above, axis=1, dtype=jnp.int32) - 1
    count_first = jnp.sum(first, axis=1, keepdims=True, dtype=jnp.int32)
    moved = INPUTS + jnp.where(above, rank_first, count_first + rank_last)

    # 4. Move activations and both ends of edges. `arrives[n, i, j]`: node i of graph n moves to
    # position j. The last entry of `extended` is for free places, which stay free.
    to = jnp.where(turned, moved, position)
    arrives = to[:, :, None] == position[:, None, :]
    extended = jnp.pad(to, ((0, 0), (0, 1)), constant_values=nodes)
    return dataclasses.replace(
        graphs,
        activation=jnp.sum(jnp.where(arrives, graphs.activation[:, :, None], 0), axis=1),
        source=jnp.take_along_axis(extended, graphs.source, axis=1),
        target=jnp.take_along_axis(extended, graphs.target, axis=1),
    )


def _delete_edge(graphs: Graphs, words: UInt32[Array, "n 2"], probability: float) -> Graphs:
    """Delete a random edge with a probability."""
    alive = graphs.target < graphs.activation.shape[1]
    place = _nth(alive, pick(words[:, 1], edge_count(graphs)))
    return _drop_edges(graphs, place & happens(words[:, 0], probability)[:, None])


def _add_node(
    graphs: Graphs, words: UInt32[Array, "n 3"], outputs: int, activations: int, probability: float
) -> Graphs:
    """Split a random edge with a probability, by a new node.

    As in the original, an edge u -> v of weight w becomes u -> new -> v, both of weight w.
    """
    # 1. Draw the edge, if the graph has room for one more node and one more edge.
    nodes, edges = graphs.activation.shape[1], graphs.source.shape[1]
    first_output = nodes - outputs
    position = jnp.arange(nodes, dtype=jnp.int32)[None]
    count = edge_count(graphs)
    wanted = happens(words[:, 0], probability) & (count > 0)
    room = (count < edges) & (INPUTS + graphs.hidden < first_output)
    added = wanted & room
    alive = graphs.target < nodes
    split = _nth(alive, pick(words[:, 1], count)) & added[:, None]
    target, weight = _at(graphs.target, split), _at(graphs.weight, split)

    # 2. The new node's position is just before the target, or after all hidden nodes if the target
    # is an output. Either way it is behind the source. The hidden nodes behind it move up by one.
    new = jnp.where(target >= first_output, INPUTS + graphs.hidden, target)[:, None]
    behind = added[:, None] & (position > new) & (position < first_output)
    here = added[:, None] & (position == new)
    drawn = (words[:, 2] % activations).astype(jnp.int32)[:, None]
    shifted = jnp.roll(graphs.activation, 1, axis=1)
    activation = jnp.where(here, drawn, jnp.where(behind, shifted, graphs.activation))

    def shift(place: Array) -> Array:
        moves = added[:, None] & (place >= new) & (place < first_output)
        return place + moves.astype(jnp.int32)

    # 3. The edge now leads to the new node, and a second edge from there to the old target.
    moved_target = shift(target[:, None])[:, 0]
    graphs = dataclasses.replace(
        graphs,
        activation=activation,
        source=shift(graphs.source),
        target=jnp.where(split, new, shift(graphs.target)),
        hidden=graphs.hidden + added,
        refused=graphs.refused + (wanted & ~room),
    )
    return _append_edge(graphs, added, new[:, 0], moved_target, weight)


def _delete_node(
    graphs: Graphs, words: UInt32[Array, "n 2"], outputs: int, probability: float
) -> Graphs:
    """Delete a random hidden node with a probability, and all edges into it and out of it."""
    # 1. Draw the node, and drop the edges.
    nodes = graphs.activation.shape[1]
    first_output = nodes - outputs
    position = jnp.arange(nodes, dtype=jnp.int32)[None]
    deleted = happens(words[:, 0], probability) & (graphs.hidden > 0)
    gone = (INPUTS + pick(words[:, 1], graphs.hidden))[:, None]
    touched = (graphs.source == gone) | (graphs.target == gone)
    graphs = _drop_edges(graphs, touched & deleted[:, None])

    # 2. The hidden nodes behind it move down by one.
    def shift(place: Array) -> Array:
        moves = deleted[:, None] & (place > gone) & (place < first_output)
        return place - moves.astype(jnp.int32)

    behind = deleted[:, None] & (position >= gone) & (position < first_output)
    shifted = jnp.where(position < first_output - 1, jnp.roll(graphs.activation, -1, axis=1), 0)
    return dataclasses.replace(
        graphs,
        activation=jnp.where(behind, shifted, graphs.activation),
        source=shift(graphs.source),
        target=shift(graphs.target),
        hidden=graphs.hidden - deleted,
    )
