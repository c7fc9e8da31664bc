"""Recombination of CPPN graphs: an offspring takes whole outputs, with all their ancestors.

The original has no crossover for CPPNs (gen_dnn_ff.hpp:101-113). Here an offspring's hue may come
from one elite and its lightness from another. An output may also take the edges of both, which lays
one picture over the other.
"""

import dataclasses

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, UInt32

from qd_fool.encodings.cppn.graph import (
    INPUTS,
    Graphs,
    choose,
    hidden_mask,
    sort_edges,
    with_ancestors,
)


def cross_graphs(
    first: Graphs, second: Graphs, words: UInt32[Array, "n outputs"], *, outputs: int
) -> Graphs:
    """Take each output from the first parent, the second, or both, with equal probability.

    Nodes that no output of the child depends on are left out. A child that would exceed the
    capacity is replaced by its first parent, and counted as one more skipped change.

    Args:
      first: First parents, in order. An output that takes both keeps this parent's activation.
      second: Second parents, in order.
      words: Uniform words, one per output.
      outputs: Number of output nodes.
    """
    # Draw each output's parents: 0 for the first, 1 for the second, 2 for both.
    nodes, edges = first.activation.shape[1], first.source.shape[1]
    dtypes = {name: a.dtype for name, a in vars(first).items()}
    draw = (words % 3).astype(jnp.int32)
    from_first, from_second = draw != 1, draw != 0

    # Each parent's part. The second part's hidden nodes come after those of the first part.
    one, count_one = _extract(first, from_first, jnp.full(len(draw), INPUTS, jnp.int32), outputs)
    two, count_two = _extract(second, from_second, INPUTS + count_one, outputs)

    # Both parts side by side, with room for the edges of both. An output's activation comes from
    # the second parent only if it takes the second parent alone. The hidden nodes of the two parts
    # have different positions, so their activations can be added.
    joined = Graphs(
        activation=jnp.where(_outputs(draw == 1, nodes), two.activation, one.activation)
        + jnp.where(_outputs(draw >= 0, nodes), 0, two.activation),
        source=jnp.concatenate([one.source, two.source], axis=1),
        target=jnp.concatenate([one.target, two.target], axis=1),
        weight=jnp.concatenate([one.weight, two.weight], axis=1),
        hidden=count_one + count_two,
        refused=first.refused,
    )

    # Put the edges in order, and cut the arrays to capacity: if the child fits, only free places
    # are cut off. A child that does not fit is its first parent.
    count = jnp.sum(joined.target < nodes, axis=1)
    room = (joined.hidden <= nodes - outputs - INPUTS) & (count <= edges)
    joined = sort_edges(joined)
    child = dataclasses.replace(
        joined,
        source=joined.source[:, :edges],
        target=joined.target[:, :edges],
        weight=joined.weight[:, :edges],
    )
    child = dataclasses.replace(
        child, **{name: a.astype(dtypes[name]) for name, a in vars(child).items()}
    )
    child = choose(room, child, first)
    return dataclasses.replace(child, refused=first.refused + (~room).astype(dtypes["refused"]))


def _outputs(mask: Bool[Array, "n outputs"], nodes: int) -> Bool[Array, "n nodes"]:
    """Widen a mask over outputs to a mask over nodes: outputs are the last nodes."""
    return jnp.pad(mask, ((0, 0), (nodes - mask.shape[1], 0)))


def _extract(
    graphs: Graphs, wanted: Bool[Array, "n outputs"], start: Int[Array, " n"], outputs: int
) -> tuple[Graphs, Int[Array, " n"]]:
    """Keep only the nodes that some outputs depend on.

    Args:
      graphs: Graphs, in order.
      wanted: `(n, outputs)` outputs to keep.
      start: `(n,)` new position of the first hidden node that is kept.
      outputs: Number of output nodes.

    Returns:
      The graphs, in int32, without the other outputs' edges; and `(n,)` numbers of hidden nodes
      that were kept.
    """
    # Find the hidden nodes to keep, and their new positions: from `start` on, without gaps.
    nodes = graphs.activation.shape[1]
    position = jnp.arange(nodes, dtype=jnp.int32)[None]
    live = with_ancestors(graphs, _outputs(wanted, nodes))
    kept = live & hidden_mask(graphs)
    rank = jnp.cumsum(kept, axis=1, dtype=jnp.int32) - 1
    moved = jnp.where(kept, start[:, None] + rank, position)
    is_output = position >= nodes - outputs

    # An edge is kept if its target is. The padding is for free places, whose target is `nodes`.
    source, target = (a.astype(jnp.int32) for a in (graphs.source, graphs.target))
    padded = jnp.pad(live & (kept | is_output), ((0, 0), (0, 1)))
    alive = jnp.take_along_axis(padded, target, axis=1)

    # Move edges and activations. `arrives[n, i, j]`: node i of graph n moves to position j.
    places = jnp.pad(moved, ((0, 0), (0, 1)), constant_values=nodes)
    arrives = (moved[:, :, None] == position[:, None, :]) & (kept | is_output)[:, :, None]
    activation = graphs.activation.astype(jnp.int32)
    return (
        dataclasses.replace(
            graphs,
            activation=jnp.sum(jnp.where(arrives, activation[:, :, None], 0), axis=1),
            source=jnp.where(alive, jnp.take_along_axis(places, source, axis=1), 0),
            target=jnp.where(alive, jnp.take_along_axis(places, target, axis=1), nodes),
            weight=jnp.where(alive, graphs.weight, 0.0),
        ),
        jnp.sum(kept, axis=1, dtype=jnp.int32),
    )
