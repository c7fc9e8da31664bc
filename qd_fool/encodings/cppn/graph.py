"""CPPN genomes: directed acyclic graphs in arrays of fixed capacity, kept in topological order.

A node is a position. Inputs come first, hidden nodes follow without gaps, and outputs are the last
positions of all. Every edge leads from a lower to a higher position. Edges are sorted by target.
Free places, whose target is the number of positions, come last. So one pass over the edges in order
evaluates a graph, and one pass in reverse finds ancestors.

Source: the original's Boost multigraph, sferes/modules/nn2/nn.hpp, gen_dnn_ff.hpp: parallel edges
stay separate, outputs are never sources, inputs never targets.
"""

import dataclasses
from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from qd_fool.encodings.cppn.settings import INPUTS


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class Graphs:
    """A population of graphs.

    Attributes:
      activation: `(n, nodes)` index into the encoding's activations; 0 where there is no node.
      source: `(n, edges)` position that an edge comes from; 0 where there is no edge.
      target: `(n, edges)` position that an edge leads to; `nodes`, one past the last position,
        where there is no edge.
      weight: `(n, edges)` weight in [-10, 10]; 0 where there is no edge.
      hidden: `(n,)` number of hidden nodes.
      refused: `(n,)` number of mutations that were skipped for lack of capacity when this
        individual was made.
    """

    activation: Int[Array, "n nodes"]
    source: Int[Array, "n edges"]
    target: Int[Array, "n edges"]
    weight: Float[Array, "n edges"]
    hidden: Int[Array, " n"]
    refused: Int[Array, " n"]


def edge_count(graphs: Graphs) -> Int[Array, " n"]:
    """Return `(n,)` the number of edges of each graph."""
    return jnp.sum(graphs.target < graphs.activation.shape[1], axis=1, dtype=jnp.int32)


def choose(mask: Bool[Array, " n"], first: Graphs, second: Graphs) -> Graphs:
    """Return the graph of `first` where the mask is true, else the graph of `second`."""
    return jax.tree.map(
        lambda a, b: jnp.where(jnp.expand_dims(mask, tuple(range(1, a.ndim))), a, b), first, second
    )


def hidden_mask(graphs: Graphs) -> Bool[Array, "n nodes"]:
    """Return `(n, nodes)` whether each position holds a hidden node."""
    position = jnp.arange(graphs.activation.shape[1])[None]
    return (position >= INPUTS) & (position < INPUTS + graphs.hidden[:, None])


def with_ancestors(graphs: Graphs, members: Bool[Array, "n nodes"]) -> Bool[Array, "n nodes"]:
    """Return a set of nodes together with all their ancestors.

    Args:
      graphs: Graphs, with edges in order.
      members: `(n, nodes)` nodes whose ancestors to find.
    """
    # Pack each set into words of 32 bits, so that a step is a few operations on `(n,)` words.
    nodes = members.shape[1]
    words = -(-nodes // 32)
    place = jnp.arange(nodes, dtype=jnp.uint32)
    bit = jnp.where(members, jnp.uint32(1) << (place % 32)[None], jnp.uint32(0))
    bit = jnp.pad(bit, ((0, 0), (0, words * 32 - nodes))).reshape(-1, words, 32)
    sets = tuple(jnp.sum(bit, axis=2, dtype=jnp.uint32).T)

    # Visit the edges, last target first. When an edge is visited, all edges out of its target have
    # been visited, so it is known whether the target is in the set. If it is, add the source.
    source, target = (jnp.asarray(a, jnp.uint32).T for a in (graphs.source, graphs.target))
    count = jnp.max(edge_count(graphs), initial=0)

    def visit(i: Array | int, sets: tuple[Array, ...]) -> tuple[Array, ...]:
        s, t = source[count - 1 - i], target[count - 1 - i]
        held = sum(jnp.where(t // 32 == k, word, 0) for k, word in enumerate(sets))
        add = ((held >> (t % 32)) & 1) << (s % 32)
        return tuple(word | jnp.where(s // 32 == k, add, 0) for k, word in enumerate(sets))

    sets = jax.lax.fori_loop(0, count, visit, sets)

    # Unpack the bits.
    spread = jnp.stack(sets, axis=1)[:, :, None] >> jnp.arange(32, dtype=jnp.uint32)[None, None]
    return (spread.reshape(-1, words * 32)[:, :nodes] & 1) == 1


def sort_edges(graphs: Graphs) -> Graphs:
    """Put edges in order: by target, then by place; free places last.

    One integer per place holds target, place and source: XLA sorts integers several times faster
    than it finds a permutation.
    """
    edges = graphs.source.shape[1]
    place = jnp.arange(edges, dtype=jnp.uint32)[None]
    source, target = (a.astype(jnp.uint32) for a in (graphs.source, graphs.target))
    key = jnp.sort((target << 20) | (place << 10) | source, axis=1)
    order = ((key >> 10) & 1023).astype(jnp.int32)
    dtype = graphs.source.dtype
    return dataclasses.replace(
        graphs,
        source=(key & 1023).astype(dtype),
        target=(key >> 20).astype(dtype),
        weight=jnp.take_along_axis(graphs.weight, order, axis=1),
    )
