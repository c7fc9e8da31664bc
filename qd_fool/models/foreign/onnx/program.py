"""A graph made ready to run: constants folded, parameters apart and laid as layers want them."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

import qd_fool.models.foreign.onnx.operators.table  # noqa: F401  enters the operators
from qd_fool.errors import UserError
from qd_fool.models.foreign.onnx.graph import Graph, Node
from qd_fool.models.foreign.onnx.operator import Call, evaluate, find
from qd_fool.models.foreign.onnx.values import (
    Laid,
    Order,
    Value,
    identity,
    kernel_last,
    lies_as,
)

MOST_FOLDED = 2**31
"""Bytes of arrays that folding may make."""

_STATIC = ("Resize", "Upsample")
"""Operators whose later inputs must be known before any picture, so they are no parameters."""


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """The part of a graph that must run for each picture.

    Attributes:
      nodes: Nodes in the order in which they run.
      constants: NumPy arrays, by name, that become part of the compiled program.
      orders: Order of the axes of each parameter.
      given: Name of the value that the caller passes.
      output: Name of the value to return.
      opset: Version of the operators.
      source: Name of the file, for errors.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]
    orders: Mapping[str, Order]
    given: str
    output: str
    opset: int
    source: str

    def run(self, params: PyTree[Array], given: Laid) -> Value:
        """The output for an input. Pure, so that it can be jitted and differentiated."""
        values: dict[str, Value] = dict(self.constants)
        values |= {name: Laid(array, self.orders[name]) for name, array in params.items()}
        values[self.given] = given
        run_nodes(self.nodes, values, opset=self.opset, source=self.source)
        return values[self.output]


def build(graph: Graph, *, source: str) -> tuple[Program, dict[str, Array]]:
    """A program, and its parameters by name.

    Args:
      graph: With one input and one output.
      source: Name of the file, for errors.

    Raises:
      UserError: An operator is missing, or a constant cannot be folded.
    """
    nodes, constants = _fold(graph, source=source)
    if not nodes:
        raise UserError(f"{source}: the output {graph.outputs[0]!r} doesn't depend on the picture")
    used: dict[str, list[tuple[Node, int]]] = {}
    for node in nodes:
        for index, name in enumerate(node.needs()):
            used.setdefault(name, []).append((node, index))
    static, params, orders = {}, {}, {}
    for name, array in constants.items():
        if name not in used:
            continue
        if not _is_parameter(array) or any(n.operator in _STATIC for n, _ in used[name]):
            static[name] = array
            continue
        orders[name] = _best_order(array, used[name])
        params[name] = jnp.asarray(np.ascontiguousarray(lies_as(array, orders[name])))
    program = Program(
        nodes, static, orders, graph.inputs[0].name, graph.outputs[0], graph.opset, source
    )
    return program, params


def _is_parameter(array: np.ndarray) -> bool:
    """Weights are; single numbers, and whole numbers such as shapes and places, are not."""
    if array.dtype.name in ("int8", "uint8"):
        return array.size > 64
    return array.size > 1 and bool(jnp.issubdtype(array.dtype, jnp.floating))


def _best_order(array: np.ndarray, users: Sequence[tuple[Node, int]]) -> Order:
    """The order in which the first layer that takes an array needs it."""
    node, index = users[0]
    if node.operator == "Conv" and index == 1 and array.ndim > 2:
        return kernel_last(array.ndim)
    if node.operator == "Gemm" and index == 1 and array.ndim == 2:
        return (1, 0) if node.attributes.get("transB", 0) else (0, 1)
    return identity(array.ndim)


def _fold(graph: Graph, *, source: str) -> tuple[tuple[Node, ...], dict[str, np.ndarray]]:
    """The nodes that depend on the input, and all constants that they may need."""
    values: dict[str, Value] = dict(graph.constants)
    waits: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.needs():
            waits[name] = waits.get(name, 0) + 1
    left, made = [], 0
    for node in graph.nodes:
        find(node, source=source)
        needs = list(node.needs())
        if not all(name in values for name in needs):
            left.append(node)
            continue
        run_nodes([node], values, opset=graph.opset, source=source)
        made += sum(_bytes(values[name]) for name in node.outputs if name)
        for name in needs:
            waits[name] -= 1
            if not waits[name]:
                gone = values.pop(name, None)
                made -= 0 if gone is None or name in graph.constants else _bytes(gone)
        if made > MOST_FOLDED:
            raise UserError(f"{source}: {node} makes constants of over {MOST_FOLDED} bytes")
    constants = {name: np.asarray(value) for name, value in values.items()}
    return tuple(left), constants


def _bytes(value: Value) -> int:
    return value.nbytes if isinstance(value, np.ndarray) else value.array.nbytes


def run_nodes(nodes: Sequence[Node], values: dict[str, Value], *, opset: int, source: str) -> None:
    """Run nodes one by one and enter what they give."""

    def branch(graph: Graph) -> list[Value]:
        inner = {**values, **graph.constants}
        run_nodes(graph.nodes, inner, opset=opset, source=source)
        return [inner[name] for name in graph.outputs]

    for node in nodes:
        inputs = tuple(_get(values, name, node, source) if name else None for name in node.inputs)
        results = evaluate(Call(node, opset, inputs, branch), source=source)
        if len(results) < len(node.outputs):
            raise UserError(f"{source}: {node} gives {len(results)} of {len(node.outputs)} values")
        entered: dict[str, Any] = dict(zip(node.outputs, results, strict=False))
        values.update((name, value) for name, value in entered.items() if name)


def _get(values: dict[str, Value], name: str, node: Node, source: str) -> Value:
    if name not in values:
        raise UserError(f"{source}: {node} needs {name!r}, which is nowhere in the file")
    value = values[name]
    # A scalar of NumPy is no array, though arithmetic on arrays may give one.
    return np.asarray(value) if isinstance(value, np.generic) else value
