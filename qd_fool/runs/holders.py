"""Who held which cell when: the log of insertions, cut into the frames of a film. Pure functions.

Frames are spread evenly over *changes*, not over generations: a search changes its archive often at
first and ever more seldom later, so that early generations get the frames that they need.
"""

import dataclasses
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int

from qd_fool.runs.families import chain, family_of, rows_of

Columns = Mapping[str, np.ndarray]
"""Of `lineage.npz`, `(insertions,)` each."""


@dataclasses.dataclass(frozen=True)
class Line:
    """Individuals one after the other, each with the cell that it is shown in.

    Attributes:
      id: `(n,)` of the individuals.
      born: `(n,)` the generation of each.
      cell: `(n,)` the class that the confidence is of.
      confidence: `(n,)` in that class; NaN where the log does not say.
    """

    id: Int[np.ndarray, " n"]
    born: Int[np.ndarray, " n"]
    cell: Int[np.ndarray, " n"]
    confidence: Float[np.ndarray, " n"]


def holders_of(events: Columns, class_index: int) -> Line:
    """All that held a cell, one after the other; none where nothing was ever put into it."""
    rows = np.flatnonzero(events["class_index"] == class_index)
    rows = rows[np.argsort(events["generation"][rows], kind="stable")]
    return Line(
        id=events["id"][rows].astype(np.int64),
        born=events["generation"][rows].astype(np.int64),
        cell=np.full(len(rows), class_index, np.int64),
        confidence=events["confidence"][rows].astype(np.float64),
    )


def ancestors_of(events: Columns, class_index: int) -> Line:
    """A cell's last holder and those it descends from, the oldest first.

    Each ancestor is shown in the cell in which it was found when its offspring was made.
    """
    last = holders_of(events, class_index)
    if not len(last.id):
        return last
    family = family_of(events)
    rows = np.array(chain(family, int(rows_of(family, last.id[-1:])[0])))
    # A child says where its parent was found, and how good it was there.
    cell = np.concatenate([[class_index], family.parent_class[rows[:-1]]])
    confidence = np.concatenate([last.confidence[-1:], family.parent_confidence[rows[:-1]]])
    line = (family.id[rows], family.generation[rows], cell, confidence)
    ids, born, cell, confidence = (column[::-1] for column in line)
    return Line(ids.astype(np.int64), born.astype(np.int64), cell.astype(np.int64), confidence)


def take(line: Line, rows: Int[np.ndarray, " m"]) -> Line:
    """Those rows of it."""
    return Line(line.id[rows], line.born[rows], line.cell[rows], line.confidence[rows])


def evenly(count: int, most: int) -> Int[np.ndarray, " n"]:
    """At most so many of `count` things, evenly spread, the first and the last among them.

    With `most` 1 it is the last.
    """
    if count <= most:
        return np.arange(count)
    if most == 1:
        return np.array([count - 1])
    return np.round(np.linspace(0, count - 1, most)).astype(np.int64)


def frame_generations(
    generation: Int[np.ndarray, " insertions"], *, frames: int
) -> Int[np.ndarray, " n"]:
    """Generations whose ends are shown: the first and the last, and about as much new in each.

    Args:
      generation: of each insertion, in any order.
      frames: at most.

    Returns:
      Ascending, each once; each with an insertion.
    """
    happened, news = np.unique(generation, return_counts=True)
    if len(happened) <= frames:
        return happened.astype(np.int64)
    if frames == 1:
        return happened[-1:].astype(np.int64)
    # The first generation, which fills all cells, is one frame whatever it holds.
    after = np.cumsum(news[1:])
    wanted = np.linspace(0, after[-1], frames)[1:]
    rest = happened[1:][np.searchsorted(after, wanted)]
    return np.unique(np.concatenate([happened[:1], rest])).astype(np.int64)


def holders_at(
    events: Columns, generations: Int[np.ndarray, " frames"], *, classes: int
) -> Int[np.ndarray, "frames classes"]:
    """The row of `events` that put in who holds each cell at the end of each generation.

    Args:
      events: of a run.
      generations: to look at.
      classes: number of cells.

    Returns:
      Rows; -1 where nothing had been put into a cell yet.
    """
    if not len(events["generation"]):
        return np.full((len(generations), classes), -1, np.int64)
    span = int(max(events["generation"].max(), generations.max(initial=0))) + 1
    when = events["class_index"].astype(np.int64) * span + events["generation"]
    order = np.argsort(when, kind="stable")
    wanted = np.arange(classes)[None, :] * span + generations[:, None]
    place = np.searchsorted(when[order], wanted, side="right") - 1
    rows = order[np.maximum(place, 0)]
    own = events["class_index"][rows] == np.arange(classes)
    return np.where((place >= 0) & own, rows, -1)
