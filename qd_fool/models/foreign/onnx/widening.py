"""Half and double precision as float32: CPUs are slow in the one, JAX leaves the other out."""

import dataclasses
from typing import Any

import numpy as np

from qd_fool.models.foreign.onnx.graph import Graph, Node

_FLOAT, _OTHERS = 1, (10, 11, 16)
"""ONNX's numbers for float32, and for float16, float64 and bfloat16."""


def widened(graph: Graph) -> Graph:
    """The same graph with all real numbers in float32."""
    constants = {name: _array(array) for name, array in graph.constants.items()}
    inputs = tuple(
        dataclasses.replace(given, dtype="float32") if _is_other(given.dtype) else given
        for given in graph.inputs
    )
    nodes = tuple(_node(node) for node in graph.nodes)
    return dataclasses.replace(graph, constants=constants, inputs=inputs, nodes=nodes)


def _is_other(dtype: Any) -> bool:
    return str(dtype) in ("float16", "bfloat16", "float64")


def _array(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32) if _is_other(array.dtype) else array


def _node(node: Node) -> Node:
    attributes: dict[str, Any] = {}
    for name, value in node.attributes.items():
        if isinstance(value, np.ndarray):
            value = _array(value)
        elif isinstance(value, Graph):
            value = widened(value)
        elif name in ("to", "dtype") and value in _OTHERS:
            value = _FLOAT
        attributes[name] = value
    return dataclasses.replace(node, attributes=attributes)
