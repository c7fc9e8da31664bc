"""From the bytes of an ONNX file to a `Graph`; the only module that knows the file format."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from qd_fool.errors import UserError
from qd_fool.models.foreign.onnx.graph import Graph, Input, Node, ordered
from qd_fool.models.foreign.onnx.tensors import to_array

OLDEST = 7
"""Oldest version of the operators that is read; before it, shapes broadcast by other rules."""

MOST_NODES = 200_000
"""Nodes of a file once its functions are written out."""


def read_model(path: Path) -> tuple[Graph, str]:
    """The graph of a file, and the SHA-256 of that file.

    Raises:
      UserError: The package `onnx` isn't there, the file cannot be read, or is no ONNX model.
    """
    onnx = import_onnx()
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return to_graph(parsed(onnx, content, source=str(path)), folder=path.parent, source=str(path))[
        0
    ], hashlib.sha256(content).hexdigest()


def import_onnx() -> Any:
    """The package that parses the file.

    Raises:
      UserError: It isn't installed.
    """
    try:
        import onnx
        import onnx.inliner
        import onnx.numpy_helper
    except ImportError as error:
        raise UserError(
            "reading ONNX files needs the package onnx: pip install 'qd-fool[onnx]'"
        ) from error
    return onnx


def parsed(onnx: Any, content: bytes, *, source: str) -> Any:
    """The `ModelProto` of a file's content.

    Args:
      onnx: The package onnx.
      content: Content of the file.
      source: Name of the file, for errors.

    Raises:
      UserError: The content is no ONNX model.
    """
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, RecursionError) as error:
        raise UserError(f"{source}: not an ONNX model ({error})") from error
    if not model.graph.output:
        raise UserError(f"{source}: not an ONNX model (no graph with an output)")
    return model


def to_graph(model: Any, *, folder: Path, source: str) -> tuple[Graph, Any]:
    """The graph of a parsed model, with its functions written out, and the model of that form.

    Args:
      model: A `ModelProto`.
      folder: Folder of the model, for arrays in files beside it.
      source: Name of the file, for errors.

    Raises:
      UserError: Operators of an unknown version, or a part of the file is broken.
    """
    onnx = import_onnx()
    versions = {entry.domain: entry.version for entry in model.opset_import}
    opset = versions.get("", versions.get("ai.onnx", 0))
    newest = onnx.defs.onnx_opset_version()
    if model.functions:
        _check_functions(model, source=source)
        try:
            model = onnx.inliner.inline_local_functions(model)
        except (RuntimeError, ValueError) as error:
            raise UserError(f"{source}: its functions cannot be written out ({error})") from error
    if not OLDEST <= opset <= newest:
        raise UserError(
            f"{source}: written for version {opset} of ONNX's operators: "
            f"expected {OLDEST} to {newest}"
        )
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return _graph(model.graph, opset, metadata, folder=folder, source=source), model


def _check_functions(model: Any, *, source: str) -> None:
    """Nested functions can stand for more nodes than fit in memory; those are refused."""
    table = {(function.domain, function.name): function for function in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def nodes_of(nodes: Any, open_calls: tuple[tuple[str, str], ...]) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            if key in open_calls or len(open_calls) > 100:
                raise UserError(f"{source}: the function {node.op_type!r} calls itself")
            if key in table and key not in sizes:
                sizes[key] = nodes_of(table[key].node, (*open_calls, key))
            total += sizes.get(key, 1)
            for attribute in node.attribute:
                for graph in (attribute.g, *attribute.graphs):
                    total += nodes_of(graph.node, open_calls)
            if total > MOST_NODES:
                raise UserError(f"{source}: its functions stand for over {MOST_NODES} nodes")
        return total

    nodes_of(model.graph.node, ())


def _graph(proto: Any, opset: int, metadata: dict[str, str], *, folder: Path, source: str) -> Graph:
    if proto.sparse_initializer:
        raise UserError(f"{source}: sparse arrays are not read: use --engine onnxruntime")
    if len(proto.node) > MOST_NODES:
        raise UserError(f"{source}: {len(proto.node)} nodes: expected at most {MOST_NODES}")
    constants = {
        tensor.name: to_array(tensor, folder=folder, source=source) for tensor in proto.initializer
    }
    inputs = tuple(_input(value) for value in proto.input if value.name not in constants)
    nodes = [_node(node, opset, folder=folder, source=source) for node in proto.node]
    outputs = tuple(value.name for value in proto.output)
    return Graph(
        ordered(nodes, outputs, source=source), constants, inputs, outputs, opset, metadata
    )


def _input(value: Any) -> Input:
    import onnx

    tensor = value.type.tensor_type
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)).name
    except (KeyError, TypeError, ValueError):
        dtype = "unknown"
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(
            d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None
            for d in tensor.shape.dim
        )
    return Input(value.name, dtype, shape)


def _node(proto: Any, opset: int, *, folder: Path, source: str) -> Node:
    name = proto.name or next(iter(proto.output), "")
    domain = "" if proto.domain == "ai.onnx" else proto.domain
    attributes = {}
    for attribute in proto.attribute:
        attributes[attribute.name] = _attribute(
            attribute, opset, node=name, folder=folder, source=source
        )
    return Node(proto.op_type, domain, name, tuple(proto.input), tuple(proto.output), attributes)


def _attribute(attribute: Any, opset: int, *, node: str, folder: Path, source: str) -> Any:
    import onnx

    kinds = onnx.AttributeProto
    kind = attribute.type
    if kind == kinds.FLOAT:
        return float(attribute.f)
    if kind == kinds.INT:
        return int(attribute.i)
    if kind == kinds.STRING:
        return attribute.s.decode("utf-8", "replace")
    if kind == kinds.TENSOR:
        return to_array(attribute.t, folder=folder, source=source)
    if kind == kinds.GRAPH:
        return _graph(attribute.g, opset, {}, folder=folder, source=source)
    if kind == kinds.FLOATS:
        return tuple(float(value) for value in attribute.floats)
    if kind == kinds.INTS:
        return tuple(int(value) for value in attribute.ints)
    if kind == kinds.STRINGS:
        return tuple(value.decode("utf-8", "replace") for value in attribute.strings)
    raise UserError(
        f"{source}: node {node!r} has an attribute {attribute.name!r} of a kind that is not read: "
        "use --engine onnxruntime"
    )
