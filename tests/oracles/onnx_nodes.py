"""ONNX's own tests of single operators, run by the reader: which there are, and how they end."""

import functools
import warnings
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from qd_fool.errors import UserError
from qd_fool.models.foreign.onnx.operator import OPERATORS
from qd_fool.models.foreign.onnx.program import run_nodes
from qd_fool.models.foreign.onnx.protobuf import to_graph
from qd_fool.models.foreign.onnx.values import Laid, identity, lay, lies_as

PLAIN = ("float32", "float16", "float64", "bool", "int8", "uint8", "int16", "uint16", "int32")
TYPES = (*PLAIN, "uint32", "int64", "uint64", "int4", "uint4", "int2", "uint2")


NOT_OF_CLASSIFIERS = {
    "memory": (("Attention",), "attention with memory of earlier calls"),
    "left_window_size": (("Attention",), "attention in a window"),
    "right_window_size": (("Attention",), "attention in a window"),
    "training_mode": (("BatchNormalization", "Dropout"), "training"),
    "places": (("MaxPool",), "the places of the maxima"),
    "nothing": (("ReduceMax", "ReduceMin"), "the extremes of nothing"),
}
"""What no classifier has after export: each is refused in a sentence."""


def _has(case, node, name):
    if name == "memory":
        return len(node.input) > 4 or len([n for n in node.output if n]) > 1
    if name == "places":
        return len(node.output) > 1
    if name == "nothing":
        return case.data_sets[0][0][0].size == 0
    if name == "training_mode" and len(node.input) == 3:
        return bool(case.data_sets[0][0][-1])
    return any(attribute.name == name for attribute in node.attribute)


@functools.cache
def cases():
    """All node tests of the installed package, in its order."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        return [case for case in collect_testcases(None) if case.kind == "node"]


def operators_of(case):
    """The operators of a case, with those of its functions' bodies left out."""
    return {node.op_type for node in case.model.graph.node}


def unclaimed(case):
    """Why a case is none of the reader's; empty if it is."""
    missing = operators_of(case) - set(OPERATORS)
    if missing:
        return f"operator {min(missing)}"
    if any(node.domain not in ("", "ai.onnx") for node in case.model.graph.node):
        return "another domain"
    if case.model.opset_import[0].version < 7:
        return "a version before 7"
    for node in case.model.graph.node:
        for name, (operators, why) in NOT_OF_CLASSIFIERS.items():
            if node.op_type in operators and _has(case, node, name):
                return why
    for inputs, outputs in case.data_sets:
        for array in (*inputs, *outputs):
            if not isinstance(array, np.ndarray) or array.dtype.name not in TYPES:
                return "a type that classifiers don't have"
    return ""


def run(case, *, known=False):
    """The values that the reader gives; real inputs are pictures unless all is `known`."""
    graph, _ = to_graph(case.model, folder=Path("."), source=case.name)
    inputs, _ = case.data_sets[0]
    values = dict(graph.constants)
    resized = {node.operator for node in graph.nodes} & {"Resize", "Upsample"}
    for i, (given, array) in enumerate(zip(graph.inputs, inputs, strict=True)):
        real = array.dtype.kind == "f" and not known and not (i and resized)
        values[given.name] = lay(jnp.asarray(array)) if real else array
    run_nodes(graph.nodes, values, opset=graph.opset, source=case.name)
    found = [values[name] for name in graph.outputs]
    return [np.asarray(lies_as(v, identity(v.ndim)) if isinstance(v, Laid) else v) for v in found]


def problem(case, *, known=False):
    """How a case fails, in a line; empty if it passes."""
    try:
        found = run(case, known=known)
    except UserError as error:
        return str(error)
    for a, b in zip(found, case.data_sets[0][1], strict=True):
        if a.shape != b.shape:
            return f"{case.name}: shape {a.shape}, expected {b.shape}"
        if a.dtype.kind != b.dtype.kind and {a.dtype.kind, b.dtype.kind} != {"V", "f"}:
            return f"{case.name}: type {a.dtype}, expected {b.dtype}"
        half = "float16" in (a.dtype.name, b.dtype.name)
        rtol, atol = (5e-3, 1e-3) if half else (max(case.rtol, 1e-3), max(case.atol, 1e-6))
        x, y = a.astype(np.float64), b.astype(np.float64)
        if not np.allclose(x, y, rtol=rtol, atol=atol, equal_nan=True):
            return f"{case.name}: differs by {np.abs(x - y).max()}"
    return ""
