"""Genomes for the page: from `archive.npz`, through the encoding's `describe`, packed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from qd_fool.encodings import Encoding
from qd_fool.encodings.base import genome_shapes
from qd_fool.errors import UserError
from qd_fool.files import read_npz
from qd_fool.report.graph_layout import places_of, reaching_outputs
from qd_fool.runs.pictures import equal_genomes
from qd_fool.runs.stored import encoding_of_run

PREFIX = "archive.genomes"


def read_genomes(
    run_dir: Path, run: dict[str, Any], cells: Sequence[int]
) -> tuple[list[dict[str, Any]], str]:
    """Read the genomes of some cells as values for JSON.

    Args:
      run_dir: Directory of the run.
      run: Contents of the run's `run.json`.
      cells: Class indices of the cells.

    Returns:
      One description per cell, the same object where genomes are equal, and no reason. Or no
      descriptions, and the reason, which is empty if the encoding has none: the page does not need
      them.

    Raises:
      UserError: `archive.npz` is damaged.
    """
    if not (run_dir / "archive.npz").exists():
        return [], "the run has no archive.npz"
    arrays = read_npz(run_dir / "archive.npz")
    try:
        encoding = encoding_of_run(run)
        if encoding.describe is None:
            return [], ""
        genomes = _genomes(encoding, arrays)
    except UserError as error:
        return [], str(error)
    described: dict[int, dict[str, Any]] = {}
    for members in equal_genomes(genomes, np.array(cells, np.int64)):
        described |= dict.fromkeys(members, encoding.describe(genomes, members[0]))
    return [described[cell] for cell in cells], ""


def _genomes(encoding: Encoding, arrays: dict[str, np.ndarray]) -> Any:
    """Return the genomes of all cells, in the structure of the encoding."""

    def leaf(path: Any, shape: Any) -> np.ndarray:
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        array = arrays.get(f"{PREFIX}.{name}" if name else PREFIX)
        if array is None or array.shape[1:] != shape.shape[1:]:
            raise UserError(f"archive.npz holds no genomes of the {encoding.name} encoding")
        return array

    return jax.tree_util.tree_map_with_path(leaf, genome_shapes(encoding))


def pack_graphs(graphs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Pack graphs for the page into a sixth of their JSON; the script's `unpackGraph` unpacks them.

    Args:
      graphs: Graphs of one run, from `describe_graph`.

    Returns:
      A dictionary with these keys: `head`, the facts that all graphs have in common; `kinds`, the
      distinct nodes, without ids; `nodes`, one list `id, kind, x, y, id, ...` per graph, where y is
      -1 if a node is not drawn; `edges`, one list `source, target, weight, source, ...` per graph.
      If an object occurs more than once, it is packed once, and `rows` has the row of each graph.
    """
    distinct = {id(graph): graph for graph in graphs}
    if len(distinct) < len(graphs):
        place = {key: i for i, key in enumerate(distinct)}
        rows = {"rows": [place[id(graph)] for graph in graphs]}
        return pack_graphs(list(distinct.values())) | rows
    kinds: dict[tuple[tuple[str, Any], ...], int] = {}
    nodes, edges = [], []
    for graph in graphs:
        inputs = {node["id"] for node in graph["nodes"] if node["kind"] == "input"}
        places = places_of(graph, reaching_outputs(graph) | inputs)
        # Shift the graph, so that the leftmost node is at 0: the layout moves levels to both sides.
        left = min((x for x, _ in places.values()), default=0.0)
        flat: list[float] = []
        for node in graph["nodes"]:
            facts = tuple((key, value) for key, value in node.items() if key != "id")
            kind = kinds.setdefault(facts, len(kinds))
            x, y = places.get(node["id"], (left - 1, -1))
            flat += [node["id"], kind, _short(x - left), _short(y)]
        nodes.append(flat)
        edges.append(
            [v for e in graph["edges"] for v in (e["source"], e["target"], _float32(e["weight"]))]
        )
    common = {key: value for key, value in graphs[0].items() if key not in ("nodes", "edges")}
    return {"head": common, "kinds": [dict(facts) for facts in kinds], "nodes": nodes} | {
        "edges": edges
    }


def _short(value: float) -> float:
    rounded = round(value, 2)
    return int(rounded) if rounded == int(rounded) else rounded


def _float32(value: float) -> float:
    """Return the shortest decimal number that float32 reads as the same."""
    return float(str(np.float32(value)))
