"""Independent float64 oracle for the CPPN encoding of "Deep neural networks are easily fooled".

Plain Python and NumPy, written from the facts collected about the original C++ code; it favours
being obviously right over being fast. Paths in docstrings are those of that code:
X/ = sferes/exp/images/, N/ = sferes/modules/nn2/, S/ = sferes/sferes/.

A graph is a plain dict:
{"nodes": [{"id": int, "kind": "input" | "hidden" | "output", "activation": str}, ...],
 "edges": [{"source": int, "target": int, "weight": float}, ...]}
"""

import copy
from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter
from typing import Any

import numpy as np

Graph = dict[str, Any]


def sigmoid(s: np.ndarray) -> np.ndarray:
    """The original's formula as it stands: it rounds to 1 from 36.7 on, to -1 from -38.1."""
    with np.errstate(over="ignore"):
        return 2.0 * (1.0 / (1.0 + np.exp(-s)) - 0.5)


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # N/af_cppn.hpp
    "sine": np.sin,
    "sigmoid": sigmoid,
    "gaussian": lambda s: np.exp(-(s * s)),
    "linear": lambda s: np.clip(s, -3.0, 3.0) / 3.0,
    "tanh": lambda s: np.tanh(5.0 * s),
}
SAMPLED = ("sine", "sigmoid", "gaussian", "linear")  # X/dl_map_elites_images.cpp
MAX_WEIGHT = 10.0
ETA_M = 15.0
RATES: dict[str, float] = {  # X/dl_map_elites_images.cpp
    "weight": 0.1,
    "activation": 0.1,
    "add_edge": 0.5,
    "delete_edge": 0.3,
    "add_node": 0.5,
    "delete_node": 0.2,
}


def ids_of(graph: Graph, *kinds: str) -> list[int]:
    """Ids of the nodes of the given kinds, in list order."""
    return [node["id"] for node in graph["nodes"] if node["kind"] in kinds]


def topological_order(graph: Graph) -> list[int]:
    """All node ids, sources before targets; ValueError on a cycle or an edge into an input."""
    inputs = ids_of(graph, "input")
    sources: dict[int, set[int]] = {node["id"]: set() for node in graph["nodes"]}
    for edge in graph["edges"]:
        if edge["target"] in inputs:
            raise ValueError("an edge leads into an input node")
        sources[edge["target"]].add(edge["source"])
    return list(TopologicalSorter(sources).static_order())  # its CycleError is a ValueError


def input_grids(width: int, height: int, coords: str, coords_scale: float) -> list[np.ndarray]:
    """Column, row, distance and bias grids (X/phen/phen_color_image.hpp, phen_grayscale_image.hpp).

    The distance always uses coordinates normalised to [-1, 1]. "normalized" is not original.
    """
    if width < 2 or height < 2:
        raise ValueError("width and height must be at least 2")
    row, column = np.indices((height, width), dtype=np.float64)
    xn = -1.0 + 2.0 * column / (width - 1)
    yn = -1.0 + 2.0 * row / (height - 1)
    distance = np.sqrt(xn * xn + yn * yn)
    if coords == "normalized":
        column, row = coords_scale * xn, coords_scale * yn
    elif coords != "raw":
        raise ValueError(f"unknown coords: {coords!r}")
    return [column, row, distance, np.ones((height, width))]


def walk(
    graph: Graph, width: int, height: int, *, coords: str = "raw", coords_scale: float = 8.0
) -> np.ndarray:
    """Evaluate the graph at every pixel: float64 (height, width, outputs).

    Each node applies its activation to a plain dot product, 0 with no incoming edge (N/pf.hpp),
    outputs included; the original's synchronous steps (N/gen_dnn_ff.hpp, N/nn.hpp) amount to this
    topological pass. Parallel edges add up.
    """
    order = topological_order(graph)
    nodes = {node["id"]: node for node in graph["nodes"]}
    grids = input_grids(width, height, coords, coords_scale)
    values = dict(zip(ids_of(graph, "input"), grids, strict=True))
    for node_id in order:
        if nodes[node_id]["kind"] == "input":
            continue
        total = np.zeros((height, width))
        for edge in graph["edges"]:
            if edge["target"] == node_id:
                total += edge["weight"] * values[edge["source"]]
        values[node_id] = ACTIVATIONS[nodes[node_id]["activation"]](total)
    return np.stack([values[node_id] for node_id in ids_of(graph, "output")], axis=-1)


def to_bytes(values: np.ndarray) -> np.ndarray:
    """trunc(|v| * 255), v in [-1, 1], for every channel (X/phen/phen_color_image.hpp)."""
    return np.trunc(np.abs(values) * 255.0).astype(np.uint8)


def random_weight(rng: np.random.Generator) -> float:
    """20 * gene - 10 with gene uniform in [0, 1) (S/phen/parameters.hpp)."""
    return 2 * MAX_WEIGHT * rng.random() - MAX_WEIGHT


def random_activation(rng: np.random.Generator) -> str:
    """Uniform over the sampled set (S/gen/sampled.hpp)."""
    return SAMPLED[rng.integers(len(SAMPLED))]


def mutate_weight(weight: float, rng: np.random.Generator) -> float:
    """Basic polynomial mutation of the weight's gene (N/gen_dnn_ff.hpp; X/gen/evo_float_image.hpp).

    The gene (w + 10) / 20 is moved by d in (-1, 1) and clipped to [0, 1].
    """
    u = rng.random()
    power = 1.0 / (ETA_M + 1.0)
    d = (2.0 * u) ** power - 1.0 if u < 0.5 else 1.0 - (2.0 * (1.0 - u)) ** power
    gene = (weight + MAX_WEIGHT) / (2 * MAX_WEIGHT)
    return 2 * MAX_WEIGHT * min(max(gene + d, 0.0), 1.0) - MAX_WEIGHT


def new_graph(rng: np.random.Generator, outputs: int) -> Graph:
    """Every input joined to every output, no hidden nodes (N/gen_dnn.hpp, N/gen_dnn_ff.hpp)."""
    nodes = [
        {"id": i, "kind": "input" if i < 4 else "output", "activation": random_activation(rng)}
        for i in range(4 + outputs)
    ]
    edges = [
        {"source": source, "target": target, "weight": random_weight(rng)}
        for source in range(4)
        for target in range(4, 4 + outputs)
    ]
    return {"nodes": nodes, "edges": edges}


def ancestors_or_self(graph: Graph, node_id: int) -> set[int]:
    """The node and every node with a path to it."""
    found, todo = {node_id}, [node_id]
    while todo:
        target = todo.pop()
        for edge in graph["edges"]:
            if edge["target"] == target and edge["source"] not in found:
                found.add(edge["source"])
                todo.append(edge["source"])
    return found


def mutate(
    graph: Graph, rng: np.random.Generator, *, rates: Mapping[str, float] = RATES
) -> tuple[Graph, dict[str, Any]]:
    """A mutated copy and what each of the six steps did (N/gen_dnn_ff.hpp, N/gen_dnn.hpp).

    Keys missing from `rates` keep the original's value. Capacity is unbounded. The counts are of
    draws: a resampled activation may come out the same.
    """
    rates = {**RATES, **rates}
    graph = copy.deepcopy(graph)
    nodes, edges = graph["nodes"], graph["edges"]
    info: dict[str, Any] = {"weights_mutated": 0, "activations_resampled": 0}
    info |= {"edge_added": False, "edge_deleted": False, "node_added": False}
    info |= {"node_deleted": False, "deleted_degree": 0}

    for edge in edges:  # 1. weights
        if rng.random() < rates["weight"]:
            edge["weight"] = mutate_weight(edge["weight"], rng)
            info["weights_mutated"] += 1

    for node in nodes:  # 2. activations, of inputs too although theirs have no effect
        if rng.random() < rates["activation"]:
            node["activation"] = random_activation(rng)
            info["activations_resampled"] += 1

    if rng.random() < rates["add_edge"]:  # 3. duplicates allowed, never a cycle
        source = int(rng.choice(ids_of(graph, "input", "hidden")))
        above = ancestors_or_self(graph, source)
        targets = [n for n in ids_of(graph, "hidden", "output") if n not in above]
        if targets:
            target = int(rng.choice(targets))
            edges.append({"source": source, "target": target, "weight": random_weight(rng)})
            info["edge_added"] = True

    if rng.random() < rates["delete_edge"] and edges:  # 4.
        edges.pop(rng.integers(len(edges)))
        info["edge_deleted"] = True

    if rng.random() < rates["add_node"] and edges:  # 5. both halves keep the split edge's weight
        old = edges.pop(rng.integers(len(edges)))
        new_id = 1 + max(node["id"] for node in nodes)
        nodes.append({"id": new_id, "kind": "hidden", "activation": random_activation(rng)})
        edges.append({"source": old["source"], "target": new_id, "weight": old["weight"]})
        edges.append({"source": new_id, "target": old["target"], "weight": old["weight"]})
        info["node_added"] = True

    hidden = ids_of(graph, "hidden")
    if rng.random() < rates["delete_node"] and hidden:  # 6. no bridging
        gone = int(rng.choice(hidden))
        kept = [edge for edge in edges if gone not in (edge["source"], edge["target"])]
        info |= {"node_deleted": True, "deleted_degree": len(edges) - len(kept)}
        graph["nodes"] = [node for node in nodes if node["id"] != gone]
        graph["edges"] = kept
    return graph, info
