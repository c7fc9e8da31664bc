"""CPPN graphs as JSON: nodes with activations, edges with weights, and how to draw them.

The format is meant for other programs, too. Ids are arbitrary integers. The four inputs are listed
first, in the order column, row, distance, bias. Outputs are in the order of the colour's planes.
"""

import graphlib
from typing import Any

import numpy as np

from qd_fool.encodings.base import Encoding, image_shape_of, make_encoding
from qd_fool.encodings.color import planes_of
from qd_fool.encodings.cppn.activations import ACTIVATIONS
from qd_fool.encodings.cppn.graph import Graphs
from qd_fool.encodings.cppn.settings import INPUTS, MOST, CppnSettings, activation_names
from qd_fool.errors import UserError

FORMAT = "qd_fool.cppn"


VERSION = 1


INPUT_LABELS = ("column", "row", "distance", "bias")


OUTPUT_LABELS = {
    "gray": ("gray",),
    "hls": ("hue", "lightness", "saturation"),
    "hsv": ("hue", "saturation", "value"),
    "rgb": ("red", "green", "blue"),
}


def describe_graph(
    graphs: Graphs,
    index: int,
    *,
    settings: CppnSettings,
    color: str,
    image_shape: tuple[int, int, int],
) -> dict[str, Any]:
    """Return one graph as plain values.

    Args:
      graphs: Graphs `(n, ...)`, on the host.
      index: Index of the graph.
      settings: Settings of the encoding.
      color: Colour space of the outputs.
      image_shape: Shape of the pictures that were evolved, `(height, width, channels)`.
    """
    activation, source, target, weight = (
        np.asarray(getattr(graphs, name))[index]
        for name in ("activation", "source", "target", "weight")
    )
    names = activation_names(settings.activations)
    labels = OUTPUT_LABELS[color]
    capacity, hidden = len(activation), int(np.asarray(graphs.hidden)[index])

    # A node's id is its position.
    nodes: list[dict[str, Any]] = [
        {"id": i, "kind": "input", "label": label} for i, label in enumerate(INPUT_LABELS)
    ]
    nodes += [
        {"id": i, "kind": "hidden", "activation": names[activation[i]]}
        for i in range(INPUTS, INPUTS + hidden)
    ]
    nodes += [
        {"id": i, "kind": "output", "label": label, "activation": names[activation[i]]}
        for i, label in enumerate(labels, start=capacity - len(labels))
    ]
    return {
        "format": FORMAT,
        "version": VERSION,
        "image_shape": list(image_shape),
        "coords": settings.coords,
        "coords_scale": settings.coords_scale,
        "color": color,
        "nodes": nodes,
        "edges": [
            {"source": int(s), "target": int(t), "weight": float(w)}
            for s, t, w in zip(source, target, weight, strict=True)
            if t < capacity
        ],
    }


def read_graph(data: Any, *, source: str) -> tuple[Encoding, Graphs]:
    """Read a graph from JSON, and build the encoding that draws it.

    Args:
      data: Value from `json.load`.
      source: Name of the file, for messages.

    Returns:
      The encoding, whose capacity is what the graph needs, and graphs `(1, ...)`.

    Raises:
      UserError: The file has another format, or its graph is bad or has a cycle.
    """
    # 1. The head of the file.
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise UserError(f'{source}: expected JSON with "format": "{FORMAT}"')
    if data.get("version") != VERSION:
        raise UserError(
            f"{source}: version is {data.get('version')!r}, this version reads {VERSION}"
        )
    shape, color = image_shape_of(data.get("image_shape"), source=source), data.get("color")
    if not isinstance(color, str) or color not in OUTPUT_LABELS:
        raise UserError(f"{source}: color is {color!r}, expected one of {', '.join(OUTPUT_LABELS)}")

    # 2. Nodes and edges. Each node's sources give an order in which all edges lead forward.
    nodes, edges = _nodes(data, source), _edges(data, source)
    inputs, hidden, outputs = (
        [n["id"] for n in nodes if n["kind"] == kind] for kind in ("input", "hidden", "output")
    )
    if (len(inputs), len(outputs)) != (INPUTS, planes_of(color)):
        raise UserError(
            f"{source}: {len(inputs)} inputs and {len(outputs)} outputs, expected {INPUTS} and "
            f"{planes_of(color)}"
        )
    before: dict[int, list[int]] = {n["id"]: [] for n in nodes}
    for s, t, _ in edges:
        if s not in before or t not in before or s in outputs or t in inputs:
            raise UserError(
                f"{source}: an edge leads from {s} to {t}: expected from an input or hidden node "
                "to a hidden node or output"
            )
        before[t].append(s)
    try:
        order = [i for i in graphlib.TopologicalSorter(before).static_order() if i in set(hidden)]
    except graphlib.CycleError as error:
        raise UserError(f"{source}: the edges form a cycle through {error.args[1]}") from error

    # 3. The encoding, with the activations that occur and no more room than the graph needs.
    used = list(dict.fromkeys(n["activation"] for n in nodes if n["kind"] != "input"))
    coords, scale = data.get("coords"), data.get("coords_scale")
    if not isinstance(coords, str) or not _is_number(scale):
        raise UserError(f"{source}: coords is {coords!r}, coords_scale {scale!r}: expected both")
    try:
        encoding = make_encoding(
            "cppn",
            shape,
            coords=coords,
            coords_scale=float(scale),  # type: ignore[arg-type]
            color=color,
            activations=",".join(used),
            max_nodes=len(nodes),
            max_edges=max(len(edges), INPUTS * len(outputs)),
        )
    except UserError as error:
        raise UserError(f"{source}: {error}") from error

    # 4. The arrays.
    position = {i: p for p, i in enumerate([*inputs, *order, *outputs])}
    activation = {n["id"]: used.index(n["activation"]) for n in nodes if n["kind"] != "input"}
    return encoding, _pack(encoding.settings, position, activation, edges, len(hidden))


def _pack(
    settings: CppnSettings,
    position: dict[int, int],
    activation: dict[int, int],
    edges: list[tuple[int, int, float]],
    hidden: int,
) -> Graphs:
    placed = sorted(((position[s], position[t], w) for s, t, w in edges), key=lambda edge: edge[1])
    free = settings.max_edges - len(placed)
    placed += [(0, settings.max_nodes, 0.0)] * free
    s, t, w = zip(*placed, strict=True)
    functions = np.zeros(settings.max_nodes, np.int16)
    for i, index in activation.items():
        functions[position[i]] = index
    arrays: dict[str, Any] = {
        "activation": functions[None],
        "source": np.array([s], np.int16),
        "target": np.array([t], np.int16),
        "weight": np.array([w], np.float32),
        "hidden": np.array([hidden], np.int32),
        "refused": np.zeros(1, np.int32),
    }
    return Graphs(**arrays)


def _objects(data: dict[str, Any], name: str, source: str) -> list[dict[str, Any]]:
    found = data.get(name)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise UserError(f"{source}: {name}: expected a list of objects")
    if len(found) > MOST:
        raise UserError(f"{source}: {len(found)} {name}, expected {MOST} or fewer")
    return found


def _nodes(data: dict[str, Any], source: str) -> list[dict[str, Any]]:
    nodes = _objects(data, "nodes", source)
    for node in nodes:
        if type(node.get("id")) is not int or node.get("kind") not in ("input", "hidden", "output"):
            raise UserError(
                f"{source}: node {node}: expected an integer id and a kind: input, hidden or output"
            )
        function = node.get("activation")
        known = isinstance(function, str) and function in ACTIVATIONS
        if node["kind"] != "input" and not known:
            raise UserError(
                f"{source}: node {node['id']} has activation {function!r}: expected "
                f"one of {', '.join(ACTIVATIONS)}"
            )
    ids = [node["id"] for node in nodes]
    if len(set(ids)) < len(ids):
        raise UserError(f"{source}: node ids occur more than once")
    return nodes


def _edges(data: dict[str, Any], source: str) -> list[tuple[int, int, float]]:
    edges = _objects(data, "edges", source)
    for edge in edges:
        whole = all(type(edge.get(name)) is int for name in ("source", "target"))
        if not whole or not _is_number(edge.get("weight")):
            raise UserError(
                f"{source}: edge {edge}: expected integers source and target, and a finite weight"
            )
    return [(e["source"], e["target"], float(e["weight"])) for e in edges]


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -1e30 < value < 1e30  # false for NaN
