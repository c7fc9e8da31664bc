"""A CPPN graph as a drawing: inputs at the bottom, outputs on top, depth in between."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from qd_fool.files import replacing
from qd_fool.report.graph_layout import places_of, reaching_outputs

__all__ = ["write_graph_svg"]

COLORS = {
    "input": "#dddddd",
    "sine": "#8ecae6",
    "sigmoid": "#ffd166",
    "gaussian": "#b5e48c",
    "linear": "#e5b8f4",
    "tanh": "#f4a582",
}
POSITIVE, NEGATIVE = "#20639b", "#c0392b"


def write_graph_svg(path: Path, graph: dict[str, Any]) -> None:
    """Draw a graph from `describe_graph`. Hidden nodes without effect are left out.

    The larger the weight of an edge, the thicker its line. Positive weights are blue, negative ones
    red. Parallel edges are drawn apart.

    Args:
      path: Path of the SVG file.
      graph: Graph as plain values.
    """
    # The graph without nodes that no output depends on, and a page that has room for it.
    nodes = {node["id"]: node for node in graph["nodes"]}
    kept = reaching_outputs(graph) | {i for i, node in nodes.items() if node["kind"] == "input"}
    edges = [edge for edge in graph["edges"] if edge["target"] in kept]
    places = places_of(graph, kept)
    columns = max((x for x, _ in places.values()), default=0.0) + 1
    rows = max((y for _, y in places.values()), default=0.0) + 1
    figure = Figure(figsize=(max(4.0, 1.5 * columns), max(3.0, 1.25 * rows + 0.6)))
    FigureCanvasSVG(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 0.94))

    # Edges are arcs. Each further edge between the same nodes bends more.
    seen: dict[tuple[int, int], int] = defaultdict(int)
    for edge in edges:
        pair = (edge["source"], edge["target"])
        bend = 0.06 + 0.16 * seen[pair]
        seen[pair] += 1
        weight = edge["weight"]
        axes.add_patch(
            FancyArrowPatch(
                places[pair[0]],
                places[pair[1]],
                connectionstyle=f"arc3,rad={bend}",
                arrowstyle="-|>",
                mutation_scale=9,
                shrinkA=17,
                shrinkB=17,
                linewidth=0.4 + 0.25 * abs(weight),
                color=POSITIVE if weight >= 0 else NEGATIVE,
                alpha=0.75,
            )
        )
        (x0, y0), (x1, y1) = places[pair[0]], places[pair[1]]
        # The weight is written on the arc, whose middle lies half the bend beside the chord.
        middle = ((x0 + x1 + bend * (y1 - y0)) / 2, (y0 + y1 - bend * (x1 - x0)) / 2)
        axes.text(*middle, f"{weight:.2f}", fontsize=6, ha="center", va="center", color="#444444")

    # Nodes, with label and activation.
    for i, (x, y) in places.items():
        node = nodes[i]
        function = node.get("activation", "input")
        axes.scatter(
            [x], [y], s=950, color=COLORS.get(function, "#eeeeee"), edgecolors="#333333", zorder=3
        )
        lines = [part for part in (node.get("label"), node.get("activation")) if part]
        axes.text(x, y, "\n".join(lines), fontsize=6.5, ha="center", va="center", zorder=4)
    axes.set_xlim(-0.7, columns - 0.3)
    axes.set_ylim(-0.6, rows - 0.4)
    axes.axis("off")
    figure.suptitle(_title(graph, left_out=len(nodes) - len(kept)), fontsize=9)

    # Text stays text, ids come from a fixed salt, and there is no date: the same graph gives the
    # same file.
    style: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "qd_fool"}
    with replacing(path) as partial, matplotlib.rc_context(style):
        figure.savefig(partial, format="svg", metadata={"Date": None})


def _title(graph: dict[str, Any], *, left_out: int) -> str:
    origin = graph.get("origin") or {}
    words = []
    if "label" in origin:
        words.append(f"{origin['label']} ({origin.get('confidence', 0.0):.2%})")
    words.append(f"{len(graph['nodes'])} nodes, {len(graph['edges'])} edges")
    if left_out:
        words.append(f"{left_out} nodes without effect not drawn")
    return "; ".join(words)
