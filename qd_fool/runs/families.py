"""Ancestors and goal switches, from the log of insertions; NumPy only.

An elite's offspring may win the cell of another class: then the line switches goals. The Innovation
Engines count how often this happens (Nguyen, Yosinski, Clune, GECCO 2015).
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Bool, Float, Int

NO_PARENT = -1
"""Parent row of individuals without a parent, those of the random batch."""

OUTSIDE = -2
"""Parent row of individuals whose parent came from another run (`--init-from`)."""


@dataclasses.dataclass(frozen=True)
class Family:
    """All individuals that ever won a cell, one row per individual, parents before offspring.

    Attributes:
      id: Ids, ascending.
      generation: Generation in which the individual was born.
      parent: Row of the parent; `NO_PARENT`, or `OUTSIDE`.
      parent_class: Cell in which the parent was chosen; -1 for no parent.
      parent_confidence: Confidence of the parent in that cell; NaN if the log does not hold it.
    """

    id: Int[np.ndarray, " n"]
    generation: Int[np.ndarray, " n"]
    parent: Int[np.ndarray, " n"]
    parent_class: Int[np.ndarray, " n"]
    parent_confidence: Float[np.ndarray, " n"]


def family_of(events: Mapping[str, np.ndarray]) -> Family:
    """Make a family of a log of insertions.

    Args:
      events: Columns of `lineage.npz`, `(insertions,)` each. An individual has one row per cell
        that it won, all of one generation.
    """
    # 1. One row per individual, and the row of the parent.
    ids, first = np.unique(events["id"].astype(np.int64), return_index=True)
    parent_id = events["parent_id"].astype(np.int64)[first]
    parent_class = events["parent_class"].astype(np.int64)[first]
    parent = np.where(parent_class >= 0, OUTSIDE, NO_PARENT)
    if len(ids):
        place = np.minimum(np.searchsorted(ids, parent_id), len(ids) - 1)
        parent = np.where((ids[place] == parent_id) & (parent_class >= 0), place, parent)

    # 2. A parent's confidence is the one with which it won the cell where it was chosen. Each
    # insertion is found by one number that holds id and cell.
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
    """Return the rows of individuals; -1 for ids that are not in the log."""
    if not len(family.id):
        return np.full(len(ids), -1, np.int64)
    place = np.minimum(np.searchsorted(family.id, ids), len(family.id) - 1)
    return np.where(family.id[place] == ids, place, -1)


def chain(family: Family, row: int) -> list[int]:
    """Return the row of an individual and the rows of all its ancestors, newest first."""
    rows = []
    while row >= 0:
        rows.append(row)
        row = int(family.parent[row])
    return rows


def with_ancestors(family: Family, rows: Int[np.ndarray, " m"]) -> Bool[np.ndarray, " n"]:
    """Return whether each row is one of the given rows, or an ancestor of one."""
    kept = np.zeros(len(family.id), bool)
    front = np.unique(rows[rows >= 0])
    while len(front):
        kept[front] = True
        parents = np.unique(family.parent[front])
        front = parents[parents >= 0]
        front = front[~kept[front]]
    return kept


def subset(family: Family, kept: Bool[np.ndarray, " n"]) -> Family:
    """Return the family of some rows. The ancestors of each row must be among them."""
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
    """Count each row's ancestors, and the goal switches of the line up to the parent.

    A line switches goals where an ancestor was chosen in another cell than the ancestor's parent.
    Whether the individual itself won another cell than its parent's is not counted here.
    """
    # 1. One step of the line: whether there is a parent, and whether parent and grandparent were
    # chosen in different cells. The last entry stands for "no parent in the log".
    parent = np.where(family.parent >= 0, family.parent, len(family.id))
    steps = np.append((family.parent_class >= 0).astype(np.int64), 0)
    grand_class = np.append(family.parent_class, -1)[parent]
    changed = (family.parent_class >= 0) & (grand_class >= 0)
    changes = np.append((changed & (grand_class != family.parent_class)).astype(np.int64), 0)

    # 2. Sums along the line of parents, by doubling: after k rounds each sum spans 2^k steps.
    jump = np.append(parent, len(family.id))
    while (jump < len(family.id)).any():
        steps, changes = steps + steps[jump], changes + changes[jump]
        jump = jump[jump]
    return steps[:-1], changes[:-1]


def is_switch(
    parent_class: Int[np.ndarray, " n"], class_index: Int[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Return whether each individual won another cell than the one its parent was chosen in."""
    return (parent_class >= 0) & (parent_class != class_index)


def switch_share(
    parent_class: Int[np.ndarray, " n"], class_index: Int[np.ndarray, " n"]
) -> float | None:
    """Return the share of goal switches among individuals with a parent; None without any."""
    bred = int((parent_class >= 0).sum())
    return int(is_switch(parent_class, class_index).sum()) / bred if bred else None
