"""The holders of cells over time, from the log of insertions, for the frames of a film.

Frames are spread evenly over *changes*, not over generations. A search changes its archive often at
first and ever more rarely later, so early generations need more frames.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from qd_fool.runs.families import chain, family_of, rows_of

Columns = Mapping[str, np.ndarray]
"""Columns of `lineage.npz`, `(insertions,)` each."""


@dataclasses.dataclass(frozen=True)
class Line:
    """A sequence of individuals, each with a cell that it held.

    Attributes:
      id: `(n,)` ids of the individuals.
      born: `(n,)` generations in which they were born.
      cell: `(n,)` class indices of the cells.
      confidence: `(n,)` confidences in these classes; NaN where the log does not hold it.
    """

    id: Int[np.ndarray, " n"]
    born: Int[np.ndarray, " n"]
    cell: Int[np.ndarray, " n"]
    confidence: Float[np.ndarray, " n"]


def holders_of(events: Columns, class_index: int) -> Line:
    """Return the holders of a cell, one after another; none if the cell was always empty."""
    rows = np.flatnonzero(events["class_index"] == class_index)
    rows = rows[np.argsort(events["generation"][rows], kind="stable")]
    return Line(
        id=events["id"][rows].astype(np.int64),
        born=events["generation"][rows].astype(np.int64),
        cell=np.full(len(rows), class_index, np.int64),
        confidence=events["confidence"][rows].astype(np.float64),
    )


def ancestors_of(events: Columns, class_index: int) -> Line:
    """Return a cell's last holder and all ancestors, the oldest first.

    Each ancestor is shown in the cell in which it was chosen as a parent.
    """
    last = holders_of(events, class_index)
    if not len(last.id):
        return last
    family = family_of(events)
    rows = np.array(chain(family, int(rows_of(family, last.id[-1:])[0])))
    # A child's row has the cell in which the parent was chosen, and the parent's confidence there.
    cell = np.concatenate([[class_index], family.parent_class[rows[:-1]]])
    confidence = np.concatenate([last.confidence[-1:], family.parent_confidence[rows[:-1]]])
    line = (family.id[rows], family.generation[rows], cell, confidence)
    ids, born, cell, confidence = (column[::-1] for column in line)
    return Line(ids.astype(np.int64), born.astype(np.int64), cell.astype(np.int64), confidence)


def take(line: Line, rows: Int[np.ndarray, " m"]) -> Line:
    """Return some rows of a line."""
    return Line(line.id[rows], line.born[rows], line.cell[rows], line.confidence[rows])


def evenly(count: int, most: int) -> Int[np.ndarray, " n"]:
    """Choose at most `most` of `count` indices, evenly spread, with the first and the last.

    If `most` is 1, the last index is chosen.
    """
    if count <= most:
        return np.arange(count)
    if most == 1:
        return np.array([count - 1])
    return np.round(np.linspace(0, count - 1, most)).astype(np.int64)


def frame_generations(
    generation: Int[np.ndarray, " insertions"], *, frames: int
) -> Int[np.ndarray, " n"]:
    """Choose the generations to show, with about as many changes from each frame to the next.

    Args:
      generation: Generation of each insertion, in any order.
      frames: Most frames.

    Returns:
      Generations with an insertion, ascending, each once. The first and the last are among them.
    """
    happened, news = np.unique(generation, return_counts=True)
    if len(happened) <= frames:
        return happened.astype(np.int64)
    if frames == 1:
        return happened[-1:].astype(np.int64)
    # The first generation, which fills all cells, is one frame. The others share the changes.
    after = np.cumsum(news[1:])
    wanted = np.linspace(0, after[-1], frames)[1:]
    rest = happened[1:][np.searchsorted(after, wanted)]
    return np.unique(np.concatenate([happened[:1], rest])).astype(np.int64)


def holders_at(
    events: Columns, generations: Int[np.ndarray, " frames"], *, classes: int
) -> Int[np.ndarray, "frames classes"]:
    """Return the row of the insertion of each cell's holder at the end of each generation.

    Args:
      events: Columns of the log of a run.
      generations: Generations to look at.
      classes: Number of cells.

    Returns:
      Rows of `events`; -1 where a cell was still empty.
    """
    if not len(events["generation"]):
        return np.full((len(generations), classes), -1, np.int64)

    # One number holds cell and generation. In sorted order, a cell's last insertion up to a
    # generation is the last number that is not larger.
    span = int(max(events["generation"].max(), generations.max(initial=0))) + 1
    when = events["class_index"].astype(np.int64) * span + events["generation"]
    order = np.argsort(when, kind="stable")
    wanted = np.arange(classes)[None, :] * span + generations[:, None]
    place = np.searchsorted(when[order], wanted, side="right") - 1
    rows = order[np.maximum(place, 0)]

    # A cell that was still empty finds an insertion into another cell.
    same_cell = events["class_index"][rows] == np.arange(classes)
    return np.where((place >= 0) & same_cell, rows, -1)
