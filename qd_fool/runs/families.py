"""Ancestors and goal switches, from the log of insertions; NumPy only.

An elite's offspring may win another class's cell: then its line switches goals. How often that
happens is the measure of the Innovation Engines (Nguyen, Yosinski, Clune, GECCO 2015).
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

NO_PARENT = -1
"""The parent of those that are born of nothing: the random batch."""


OUTSIDE = -2
"""The parent row of those whose parent came from another run (`--init-from`)."""


@dataclasses.dataclass(frozen=True)
class Family:
    """All individuals that ever won a cell, a row each, parents before their offspring.

    Attributes:
      id: ascending.
      generation: in which each was born.
      parent: row of its parent; `NO_PARENT`, or `OUTSIDE`.
      parent_class: the cell that its parent sat in when it was chosen; -1 for none.
      parent_confidence: the parent's, in that cell; NaN where the log does not say.
    """

    id: Int[np.ndarray, " n"]
    generation: Int[np.ndarray, " n"]
    parent: Int[np.ndarray, " n"]
    parent_class: Int[np.ndarray, " n"]
    parent_confidence: Float[np.ndarray, " n"]


def family_of(events: Mapping[str, np.ndarray]) -> Family:
    """Put a log in order.

    Args:
      events: columns of `lineage.npz`, `(insertions,)` each. An individual has a row for each cell
        that it won, all of one generation.
    """
    ids, first = np.unique(events["id"].astype(np.int64), return_index=True)
    parent_id = events["parent_id"].astype(np.int64)[first]
    parent_class = events["parent_class"].astype(np.int64)[first]
    parent = np.where(parent_class >= 0, OUTSIDE, NO_PARENT)
    if len(ids):
        place = np.minimum(np.searchsorted(ids, parent_id), len(ids) - 1)
        parent = np.where((ids[place] == parent_id) & (parent_class >= 0), place, parent)
    # A parent's confidence is that with which it won the cell it was found in.
    cells = int(max(events["class_index"].max(initial=0), parent_class.max(initial=0))) + 1
    won = events["id"].astype(np.int64) * cells + events["class_index"]
    order = np.argsort(won, kind="stable")
    wanted = parent_id * cells + parent_class
    confidence = np.full(len(ids), np.nan)
    if len(ids):
        place = np.minimum(np.searchsorted(won[order], wanted), len(order) - 1)
        found = (won[order][place] == wanted) & (parent >= 0)
        confidence[found] = events["confidence"][order][place][found]
    return Family(ids, events["generation"][first], parent, parent_class, confidence)


def rows_of(family: Family, ids: Int[np.ndarray, " m"]) -> Int[np.ndarray, " m"]:
    """Rows of individuals; -1 for those that the log does not know."""
    if not len(family.id):
        return np.full(len(ids), -1, np.int64)
    place = np.minimum(np.searchsorted(family.id, ids), len(family.id) - 1)
    return np.where(family.id[place] == ids, place, -1)


def chain(family: Family, row: int) -> list[int]:
    """An individual's row, its parent's, and so on, back to one without a parent in the log."""
    rows = []
    while row >= 0:
        rows.append(row)
        row = int(family.parent[row])
    return rows


def with_ancestors(family: Family, rows: Int[np.ndarray, " m"]) -> Bool[np.ndarray, " n"]:
    """Which rows are among these, or an ancestor of one."""
    kept = np.zeros(len(family.id), bool)
    front = np.unique(rows[rows >= 0])
    while len(front):
        kept[front] = True
        parents = np.unique(family.parent[front])
        front = parents[parents >= 0]
        front = front[~kept[front]]
    return kept


def subset(family: Family, kept: Bool[np.ndarray, " n"]) -> Family:
    """Those rows alone; `kept` must hold the ancestors of all that it holds."""
    new_row = np.cumsum(kept) - 1
    parent = family.parent[kept]
    return Family(
        id=family.id[kept],
        generation=family.generation[kept],
        parent=np.where(parent >= 0, new_row[parent], parent),
        parent_class=family.parent_class[kept],
        parent_confidence=family.parent_confidence[kept],
    )


def depth_and_switches(
    family: Family,
) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """How many ancestors each row has, and how often their line changed its cell before it.

    A line changes its cell where an ancestor was found in another cell than its own parent was;
    whether the individual itself won another cell than its parent's is not counted here.
    """
    own_parent = np.where(family.parent >= 0, family.parent, len(family.id))
    steps = np.append((family.parent_class >= 0).astype(np.int64), 0)
    grand_class = np.append(family.parent_class, -1)[own_parent]
    changed = (family.parent_class >= 0) & (grand_class >= 0)
    changes = np.append((changed & (grand_class != family.parent_class)).astype(np.int64), 0)
    # Sums along the line of parents, by doubling: after k rounds each spans 2^k steps.
    jump = np.append(own_parent, len(family.id))
    while (jump < len(family.id)).any():
        steps, changes = steps + steps[jump], changes + changes[jump]
        jump = jump[jump]
    return steps[:-1], changes[:-1]


def is_switch(
    parent_class: Int[np.ndarray, " n"], class_index: Int[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Who has a parent that sat in another cell than the one it won."""
    return (parent_class >= 0) & (parent_class != class_index)


def switch_share(
    parent_class: Int[np.ndarray, " n"], class_index: Int[np.ndarray, " n"]
) -> float | None:
    """The share of goal switches among those that have a parent; None where none has."""
    bred = int((parent_class >= 0).sum())
    return int(is_switch(parent_class, class_index).sum()) / bred if bred else None
