"""Layout of a CPPN graph: inputs at the bottom, outputs on top."""

from collections import defaultdict
from typing import Any

SWAY = (0.0, -0.8, 0.6, -0.3, 0.9, -0.6, 0.35)
"""Shift of each level to the left or right, as a share of the free room, repeated."""


def reaching_outputs(graph: dict[str, Any]) -> set[int]:
    """Return the ids of outputs, and of all nodes that an output depends on."""
    sources = defaultdict(list)
    for edge in graph["edges"]:
        sources[edge["target"]].append(edge["source"])
    todo = [node["id"] for node in graph["nodes"] if node["kind"] == "output"]
    kept = set(todo)
    while todo:
        new = set(sources[todo.pop()]) - kept
        kept |= new
        todo += sorted(new)
    return kept


def places_of(graph: dict[str, Any], kept: set[int]) -> dict[int, tuple[float, float]]:
    """Return the place `(x, y)` of each node.

    A node is as high as the longest path that leads to it, and near the middle of its sources.
    """
    # 1. Heights, by a walk that visits the sources of a node before the node.
    sources = defaultdict(list)
    for edge in graph["edges"]:
        if edge["target"] in kept:
            sources[edge["target"]].append(edge["source"])
    kinds = {node["id"]: node["kind"] for node in graph["nodes"] if node["id"] in kept}
    height: dict[int, int] = {}
    todo = list(kinds)
    while todo:
        i = todo.pop()
        if i in height:
            continue
        missing = [s for s in sources[i] if s not in height]
        if missing:
            todo += [i, *missing]
        else:
            height[i] = 1 + max((height[s] for s in sources[i]), default=0)
            if kinds[i] == "input":
                height[i] = 0

    # 2. Levels: nodes of one height. All outputs are on top.
    top = max(height.values(), default=0)
    levels: dict[int, list[int]] = defaultdict(list)
    for i, kind in kinds.items():
        levels[top if kind == "output" else height[i]].append(i)

    # 3. From the bottom up: order the nodes of a level by the mean place of their sources, and
    # spread them evenly over the width.
    widest = max(map(len, levels.values()), default=1)
    places: dict[int, tuple[float, float]] = {}
    for level in sorted(levels):
        members = levels[level]
        if level:
            means = {
                i: sum(places[s][0] for s in sources[i] if s in places) / max(1, len(sources[i]))
                for i in members
            }
            members = sorted(members, key=lambda i: (kinds[i] == "output", means[i]))
        gap = widest / len(members)
        # A level is shifted to one side: nodes straight above each other would hide their edges.
        room = max(0.0, widest - len(members)) / 2
        sway = room * SWAY[level % len(SWAY)] if 0 < level < top else 0.0
        for k, i in enumerate(members):
            places[i] = ((k + 0.5) * gap - 0.5 + sway, float(level))
    return places
