"""A QuantizeLinear with the DequantizeLinear behind it as one step, which has a gradient."""

import dataclasses

import numpy as np

from qd_fool.models.foreign.onnx.graph import Graph, Node


def joined(graph: Graph) -> Graph:
    """The same graph, with each such pair on the picture's way replaced by QuantizeAndBack."""
    makers = {name: node for node in graph.nodes for name in node.outputs}
    nodes = []
    for node in graph.nodes:
        before = makers.get(node.inputs[0]) if node.inputs else None
        if (
            node.operator == "DequantizeLinear"
            and before is not None
            and before.operator == "QuantizeLinear"
            and _same_scale(graph, before, node)
        ):
            node = dataclasses.replace(
                before, operator="QuantizeAndBack", name=node.name, outputs=node.outputs
            )
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def _same_scale(graph: Graph, first: Node, second: Node) -> bool:
    """Whether both have one scale and zero point."""
    if len(first.inputs) != len(second.inputs):
        return False
    for a, b in zip(first.inputs[1:], second.inputs[1:], strict=True):
        if a != b:
            one, other = graph.constants.get(a), graph.constants.get(b)
            if one is None or other is None or one.dtype != other.dtype:
                return False
            if not np.array_equal(one, other):
                return False
    return first.attributes.get("axis", 1) == second.attributes.get("axis", 1)
