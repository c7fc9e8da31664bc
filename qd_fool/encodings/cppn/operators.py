"""Small changes of CPPN graphs: a fine step of the weights, alone or after one other change.

The original's mutation changes weights, functions and structure together, and most of its offspring
look nothing like their parents. These operators change one thing, so that a good picture is tuned.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from qd_fool.encodings.base import Operator
from qd_fool.encodings.cppn.crossover import cross_graphs
from qd_fool.encodings.cppn.graph import Graphs, choose
from qd_fool.encodings.cppn.mutation import MAX_WEIGHT, mutate_graphs, words_needed
from qd_fool.encodings.cppn.settings import MOST, CppnSettings, GraphRates
from qd_fool.encodings.randomness import happens, random_words, unit

Change = Callable[[Key[Array, " n"], Graphs, Graphs, Float[Array, " n"]], Graphs]

STEP = 0.12
"""Default mean size of a fine step, in units of a weight of the bias."""

NO_CHANGE = GraphRates(
    weight=0.0, activation=0.0, add_edge=0.0, delete_edge=0.0, add_node=0.0, delete_node=0.0
)

TUNED = 0.5
"""Probability per edge that a fine step changes its weight."""

REDRAWN = 0.15
"""Probability per node that the operator "function" draws its function anew."""


def fine_step(
    keys: Key[Array, " n"], graphs: Graphs, steps: Float[Array, " n"], *, reach: np.ndarray
) -> Graphs:
    """Move each weight with probability TUNED by a step of Laplace's distribution.

    Args:
      keys: One random key per graph.
      graphs: Parents.
      steps: `(n,)` mean size of a step, in units of a weight of the bias.
      reach: `(nodes,)` largest value of each position. A weight's step is divided by the value of
        its source: a weight on raw column numbers changes a picture far more than a bias.
    """
    edges = graphs.weight.shape[1]
    words = random_words(keys, 2 * edges)
    sizes, coins = words[:, :edges], words[:, edges:]
    # unit() may be 0, and its logarithm infinite: half a unit in the last place is added.
    size = -jnp.log(unit(sizes) + jnp.float32(2**-25))
    unsigned = size * steps[:, None] / jnp.asarray(reach)[graphs.source]
    step = jnp.where((sizes & 1) == 1, unsigned, -unsigned)
    moves = happens(coins, TUNED) & (graphs.target < graphs.activation.shape[1])
    moved = jnp.clip(graphs.weight + step, -MAX_WEIGHT, MAX_WEIGHT)
    return dataclasses.replace(graphs, weight=jnp.where(moves, moved, graphs.weight))


def cppn_operators(
    settings: CppnSettings, *, outputs: int, activations: int, reach: np.ndarray
) -> dict[str, Operator]:
    """Return the operators of CPPNs by name.

    Args:
      settings: Settings of the encoding; its rates of mutation have no effect here.
      outputs: Number of output nodes.
      activations: Number of activations to draw from.
      reach: As in `fine_step`.
    """
    count = words_needed(settings.max_nodes, settings.max_edges)

    def stream(keys: Key[Array, " n"], number: int) -> Key[Array, " n"]:
        return jax.vmap(lambda key: jax.random.fold_in(key, number))(keys)

    def tuned(keys: Key[Array, " n"], graphs: Graphs, steps: Float[Array, " n"]) -> Graphs:
        return fine_step(stream(keys, 0), graphs, steps, reach=reach)

    def mutated(keys: Key[Array, " n"], graphs: Graphs, **rates: float) -> Graphs:
        graphs = dataclasses.replace(graphs, refused=jnp.zeros_like(graphs.refused))
        return mutate_graphs(
            graphs,
            random_words(stream(keys, 1), count),
            outputs=outputs,
            activations=activations,
            rates=dataclasses.replace(NO_CHANGE, **rates),
        )

    # The weights first: an added edge has a new weight already.
    def changing(**rates: float) -> Change:
        def operate(keys: Array, parents: Graphs, mates: Graphs, steps: Array) -> Graphs:
            del mates
            return mutated(keys, tuned(keys, parents, steps), **rates)

        return operate

    def fine(keys: Array, parents: Graphs, mates: Graphs, steps: Array) -> Graphs:
        del mates
        parents = dataclasses.replace(parents, refused=jnp.zeros_like(parents.refused))
        return tuned(keys, parents, steps)

    def prune(keys: Array, parents: Graphs, mates: Graphs, steps: Array) -> Graphs:
        del mates
        graphs = tuned(keys, parents, steps)
        edge = mutated(keys, graphs, delete_edge=1.0)
        node = mutated(keys, graphs, delete_node=1.0)
        coin = random_words(stream(keys, 2), 1)[:, 0]
        return choose(happens(coin, 0.5), edge, node)

    def recombine(keys: Array, parents: Graphs, mates: Graphs, steps: Array) -> Graphs:
        parents = dataclasses.replace(parents, refused=jnp.zeros_like(parents.refused))
        words = random_words(stream(keys, 3), outputs)
        return cross_graphs(tuned(keys, parents, steps), mates, words, outputs=outputs)

    changes: dict[str, Change] = {
        "fine": fine,
        "edge": changing(add_edge=1.0),
        "node": changing(add_node=1.0),
        "prune": prune,
        "function": changing(activation=REDRAWN),
    }
    if settings.max_edges <= MOST // 2:  # edges of two parents are sorted together
        changes["recombine"] = recombine
    return {name: Operator(change, STEP) for name, change in changes.items()}
