"""Recombination of CPPN graphs: an offspring takes whole outputs, with all they depend on.

The original has no crossover for CPPNs (gen_dnn_ff.hpp:101-113). Here an offspring's hue may come
from one elite and its lightness from another; an output may also take the edges of both, which
lays one picture over the other.
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
    """Each output from the first parent, the second, or both, a third each.

    Nodes that no output of the child depends on are left behind. A child that finds no room is its
    first parent, and counts one refusal more.

    Args:
      first: in order; an output fed by both keeps this parent's activation.
      second: in order.
      words: uniform, one an output.
      outputs: number of output nodes.
    """
    nodes, edges = first.activation.shape[1], first.source.shape[1]
    dtypes = {name: a.dtype for name, a in vars(first).items()}
    draw = (words % 3).astype(jnp.int32)
    from_first, from_second = draw != 1, draw != 0
    one, count_one = _extract(first, from_first, jnp.full(len(draw), INPUTS, jnp.int32), outputs)
    two, count_two = _extract(second, from_second, INPUTS + count_one, outputs)
    joined = Graphs(
        activation=jnp.where(_outputs(draw == 1, nodes), two.activation, one.activation)
        + jnp.where(_outputs(draw >= 0, nodes), 0, two.activation),
        source=jnp.concatenate([one.source, two.source], axis=1),
        target=jnp.concatenate([one.target, two.target], axis=1),
        weight=jnp.concatenate([one.weight, two.weight], axis=1),
        hidden=count_one + count_two,
        refused=first.refused,
    )
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


def _outputs(which: Bool[Array, "n outputs"], nodes: int) -> Bool[Array, "n nodes"]:
    """A mask over outputs as one over nodes."""
    return jnp.pad(which, ((0, 0), (nodes - which.shape[1], 0)))


def _extract(
    graphs: Graphs, wanted: Bool[Array, "n outputs"], start: Int[Array, " n"], outputs: int
) -> tuple[Graphs, Int[Array, " n"]]:
    """What some outputs depend on, its hidden nodes moved to positions from `start` on.

    Returns:
      The graphs, in int32, outputs that are not wanted left out; and `(n,)` hidden nodes kept.
    """
    nodes = graphs.activation.shape[1]
    position = jnp.arange(nodes, dtype=jnp.int32)[None]
    live = with_ancestors(graphs, _outputs(wanted, nodes))
    kept = live & hidden_mask(graphs)
    rank = jnp.cumsum(kept, axis=1, dtype=jnp.int32) - 1
    moved = jnp.where(kept, start[:, None] + rank, position)
    is_output = position >= nodes - outputs
    source, target = (a.astype(jnp.int32) for a in (graphs.source, graphs.target))
    padded = jnp.pad(live & (kept | is_output), ((0, 0), (0, 1)))
    alive = jnp.take_along_axis(padded, target, axis=1)
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
