"""The end of a network: logits before a final Softmax or Sigmoid.

Confidence near 1 has no digits left after a Softmax; the logits before it have them all.
"""

import dataclasses

from qd_fool.errors import UserError
from qd_fool.models.foreign.onnx.graph import Graph, Node

_SOFT = {"Softmax": "softmax", "LogSoftmax": "softmax", "Sigmoid": "sigmoid"}
THROUGH = ("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose")
_REAL = (1, 10, 11, 16)


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


def softmax_of(operator: str) -> str:
    """The kind of a final operator: "softmax", "sigmoid", or "" for others."""
    return _SOFT.get(operator, "")


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
        elif node.operator not in THROUGH:
            break
        name = node.inputs[0]
    return graph, ""


def _passing(node: Node) -> Node:
    """A node that hands its first input on."""
    return dataclasses.replace(
        node, operator="Identity", inputs=node.inputs[:1], outputs=node.outputs[:1], attributes={}
    )
