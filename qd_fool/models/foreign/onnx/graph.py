"""An ONNX graph in plain Python: nodes, values by name, and the order in which nodes run."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from qd_fool.errors import UserError


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    Attributes:
      operator: Name of the operation, "Conv".
      domain: Namespace of the operator; "" for ONNX's own.
      name: Name in the file, or that of the first output.
      inputs: Names of values; "" for an optional input that isn't given.
      outputs: Names of values; "" for an optional output that isn't wanted.
      attributes: Numbers, texts, arrays and graphs by name.
    """

    operator: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def __str__(self) -> str:
        return f"node {self.name!r} ({self.operator})"

    def needs(self) -> Iterator[str]:
        """The values that must be there before the node can run, also those of its branches."""
        yield from filter(None, self.inputs)
        for value in self.attributes.values():
            if isinstance(value, Graph):
                yield from value.free()


@dataclasses.dataclass(frozen=True)
class Input:
    """A value that the caller hands in.

    Attributes:
      name: Name of the value.
      dtype: NumPy's name of its type.
      shape: One entry per axis: a number, or None where the file leaves it open; None altogether
        where the file doesn't state how many axes there are.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """A network, or a branch of one.

    Attributes:
      nodes: In an order in which they can run.
      constants: Arrays that the file holds, by name.
      inputs: Values that the caller hands in.
      outputs: Names of the values that come out.
      opset: Version of ONNX's operators that the file was written for.
      metadata: Texts about the network, by name.
    """

    nodes: tuple[Node, ...]
    constants: Mapping[str, np.ndarray]
    inputs: tuple[Input, ...]
    outputs: tuple[str, ...]
    opset: int
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def free(self) -> Iterator[str]:
        """The values that come from an enclosing graph."""
        known = set(self.constants) | {given.name for given in self.inputs}
        for node in self.nodes:
            yield from (name for name in node.needs() if name not in known)
            known.update(node.outputs)
        yield from (name for name in self.outputs if name not in known)


def ordered(nodes: Sequence[Node], wanted: Sequence[str], *, source: str) -> tuple[Node, ...]:
    """The nodes that some values need, each behind those that it needs.

    Args:
      nodes: Nodes in any order.
      wanted: Names of the values.
      source: Name of the file, for errors.

    Raises:
      UserError: A value is made twice, or nodes wait for each other.
    """
    makers: dict[str, Node] = {}
    for node in nodes:
        for name in filter(None, node.outputs):
            if name in makers:
                raise UserError(f"{source}: two nodes make the value {name!r}")
            makers[name] = node
    done: list[Node] = []
    state: dict[int, bool] = {}  # absent: not seen; False: waits for its inputs; True: placed
    stack = [makers[name] for name in reversed(wanted) if name in makers]
    while stack:
        node = stack[-1]
        if state.get(id(node)):
            stack.pop()
            continue
        before = [makers[name] for name in node.needs() if name in makers]
        missing = [other for other in before if not state.get(id(other))]
        if not missing:
            state[id(node)] = True
            done.append(stack.pop())
            continue
        if id(node) in state:
            raise UserError(f"{source}: {node} waits for its own output")
        state[id(node)] = False
        for other in missing:
            if other is node or state.get(id(other)) is False:
                raise UserError(f"{source}: {other} waits for its own output")
        stack.extend(missing)
    return tuple(done)


def pruned(graph: Graph, output: str, *, source: str) -> Graph:
    """The part of a graph that one value needs; that value is the only output.

    Raises:
      UserError: Nodes wait for each other, or a value is missing.
    """
    nodes = ordered(graph.nodes, [output], source=source)
    known = set(graph.constants) | {given.name for given in graph.inputs}
    for node in nodes:
        known.update(filter(None, node.outputs))
    used = {output}
    for node in nodes:
        for name in node.needs():
            if name not in known:
                raise UserError(f"{source}: {node} needs {name!r}, which is nowhere in the file")
            used.add(name)
    if output not in known:
        raise UserError(f"{source}: the output {output!r} is nowhere in the file")
    constants = {name: array for name, array in graph.constants.items() if name in used}
    return dataclasses.replace(graph, nodes=nodes, constants=constants, outputs=(output,))


def consumers(graph: Graph) -> dict[str, list[Node]]:
    """The nodes that need each value."""
    found: dict[str, list[Node]] = {}
    for node in graph.nodes:
        for name in node.needs():
            found.setdefault(name, []).append(node)
    return found
