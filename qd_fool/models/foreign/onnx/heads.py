"""The end of a network: logits before a final Softmax or Sigmoid, and two classes for one number.

Confidence near 1 has no digits left after a Softmax; the logits before it have them all.
"""

import dataclasses
from collections.abc import Callable

import jax.numpy as jnp
from jaxtyping import Array, Float

from qd_fool.errors import UserError
from qd_fool.models.foreign.onnx.graph import Graph, Node

OUTPUTS = ("auto", "logits", "probabilities")
"""Kinds of the output's numbers."""

LEAST_PROBABILITY = 1e-7
"""Lowest probability. Probabilities are clipped to it and its complement if there are no logits."""

_SOFT = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}
_THROUGH = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")
_REAL = (1, 10, 11, 16)

Logits = Callable[[Float[Array, "n numbers"]], Float[Array, "n classes"]]


def choose_output(graph: Graph, output: str | None, *, source: str) -> str:
    """The name of the value to read.

    Raises:
      UserError: There is no such output, or there are several and none is chosen.
    """
    names = ", ".join(graph.outputs)
    if output is None:
        if len(graph.outputs) > 1:
            raise UserError(f"{source}: several outputs ({names}): choose one with --output NAME")
        return graph.outputs[0]
    if output not in graph.outputs:
        raise UserError(f"--output {output}: the outputs of {source} are {names}")
    return output


def without_softmax(graph: Graph) -> tuple[Graph, str]:
    """Remove the final Softmax or Sigmoid of a graph with one output.

    Returns:
      The graph, and "softmax", "sigmoid" or "" for the removed operator.
    """
    makers = {name: node for node in graph.nodes for name in node.outputs}
    name, steps = graph.outputs[0], list[Node]()
    while (node := makers.get(name)) is not None:
        if node.domain:
            break
        if node.operator in _SOFT:
            gone = {id(step) for step in (*steps, node)}
            nodes = tuple(_passing(n) if id(n) in gone else n for n in graph.nodes)
            return dataclasses.replace(graph, nodes=nodes), _SOFT[node.operator]
        real = node.operator == "Cast" and node.attributes.get("to") in _REAL
        if node.operator in ("QuantizeLinear", "DequantizeLinear", "QuantizeAndBack") or real:
            steps.append(node)
        elif node.operator not in _THROUGH:
            break
        name = node.inputs[0]
    return graph, ""


def _passing(node: Node) -> Node:
    """A node that hands its first input on."""
    return dataclasses.replace(
        node, operator="Identity", inputs=node.inputs[:1], outputs=node.outputs[:1], attributes={}
    )


def to_logits(ending: str, outputs: str, *, count: int, source: str) -> Logits:
    """From what comes out to one logit per class.

    Args:
      ending: What `without_softmax` took away.
      outputs: One of `OUTPUTS`.
      count: Numbers that come out per picture.
      source: Name of the file, for errors.

    Raises:
      UserError: No classifier of one class per picture.
    """
    if ending == "sigmoid" and count > 1:
        raise UserError(
            f"{source}: {count} labels, each with a Sigmoid of its own, are not classes of which "
            "one holds: expected a network that ends in a Softmax, or in one number"
        )
    probable = outputs == "probabilities" and not ending
    if count == 1:
        return _of_probability if probable else _of_logit
    return _of_probabilities if probable else _as_they_are


def _as_they_are(out: Float[Array, "n classes"]) -> Float[Array, "n classes"]:
    return out


def _of_probabilities(out: Float[Array, "n classes"]) -> Float[Array, "n classes"]:
    return jnp.log(jnp.clip(out, LEAST_PROBABILITY, 1.0))


def _of_logit(out: Float[Array, "n 1"]) -> Float[Array, "n 2"]:
    return jnp.concatenate([jnp.zeros_like(out), out], axis=1)


def _of_probability(out: Float[Array, "n 1"]) -> Float[Array, "n 2"]:
    p = jnp.clip(out, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return jnp.concatenate([jnp.log1p(-p), jnp.log(p)], axis=1)
