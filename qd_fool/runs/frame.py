"""An archive as a table of pandas: one row per cell, or one row per ancestor of an elite."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from qd_fool.errors import UserError
from qd_fool.runs.families import depth_and_switches, family_of, is_switch, rows_of
from qd_fool.runs.holders import ancestors_of
from qd_fool.runs.load import LoadedArchive
from qd_fool.scoring.confidence import confidence_of

if TYPE_CHECKING:
    import pandas


def archive_frame(archive: LoadedArchive) -> "pandas.DataFrame":
    """Return an archive as a table with one row per cell, in order of class.

    The columns are:

    - `class_index`, `label`, and for ImageNet `wnid`;
    - `confidence` in [0, 1], and `fitness`, the log-odds; 0 and -inf in an empty cell;
    - `born_generation`, `id`, and `parent_id`; -1 where there is none;
    - `parent_class` and `parent_label`, the cell in which the parent was chosen;
    - `goal_switch`, whether that is another cell than this one;
    - `cells_held`, the number of cells that the same individual holds;
    - with `elites.csv`, `top_class` and `top_label`, the network's top class for the picture;
    - with `lineage.npz`, the numbers of `ancestors` and of goal `switches` behind the elite;
    - for graphs, the numbers of `nodes` and `edges`.

    A value that is not known is missing (`pandas.NA` or None).

    Args:
      archive: Archive from `load_archive`.

    Raises:
      UserError: Pandas is not installed, or `elites.csv` is damaged.
    """
    pandas = _pandas("archive_frame")
    cells, names = archive.archive, np.array(archive.class_names, object)
    fitness, ids, parents = map(np.asarray, (cells.fitness, cells.id, cells.parent_class))
    classes, bred = np.arange(len(names)), parents >= 0

    # Columns that every archive has.
    columns: dict[str, Any] = {"class_index": classes}
    if archive.wnids:
        columns["wnid"] = list(archive.wnids)
    columns |= {
        "label": names,
        "confidence": confidence_of(fitness),
        "fitness": fitness.astype(np.float64),
        "born_generation": np.asarray(cells.born),
        "id": ids,
        "parent_id": np.asarray(cells.parent_id),
        "parent_class": parents,
        "parent_label": np.where(bred, names[parents], None),
        "goal_switch": _or_missing(pandas, is_switch(parents, classes), known=bred),
        "cells_held": (ids[:, None] == ids[None]).sum(axis=1) * (fitness > -np.inf),
    }

    # Columns from the files that a run may lack.
    if archive.elites is not None:
        top = _top_classes(archive)
        columns["top_class"] = _or_missing(pandas, top, known=top >= 0)
        columns["top_label"] = np.where(top >= 0, names[top], None)
    if archive.events is not None:
        columns |= _lines(archive, pandas)
    columns |= _graph_sizes(archive)
    return pandas.DataFrame(columns)


def ancestor_frame(archive: LoadedArchive, class_index: int) -> "pandas.DataFrame":
    """Return the line that led to an elite: one row per individual, the oldest first.

    The columns are:

    - `id` and `born_generation`;
    - `class_index`, `label` and `confidence` of the cell in which the individual was chosen as a
      parent; for the elite, which is the last row, of the elite's cell. A confidence that the log
      does not hold is NaN;
    - `goal_switch`, whether this is another cell than the parent's.

    Args:
      archive: Archive from `load_archive`.
      class_index: Class of the elite.

    Raises:
      UserError: Pandas is not installed, there is no such elite, or the run has no log of
        insertions.
    """
    pandas = _pandas("ancestor_frame")
    count = len(archive.class_names)
    if not 0 <= class_index < count:
        raise UserError(f"class is {class_index}: {archive.path} has classes 0 to {count - 1}")
    if archive.events is None:
        raise UserError(f"{archive.path} has no lineage.npz: expected a log of insertions")
    line = ancestors_of(archive.events, class_index)
    if not len(line.id):
        raise UserError(f"{archive.path / 'lineage.npz'}: class {class_index} never had an elite")
    return pandas.DataFrame(
        {
            "id": line.id,
            "born_generation": line.born,
            "class_index": line.cell,
            "label": [archive.class_names[k] for k in line.cell],
            "confidence": line.confidence,
            "goal_switch": is_switch(np.append(-1, line.cell[:-1]), line.cell),
        }
    )


def _pandas(caller: str) -> Any:
    try:
        import pandas
    except ImportError as error:
        raise UserError(
            f'{caller} needs pandas, which is not installed: pip install "qd-fool[notebooks]"'
        ) from error
    return pandas


def _top_classes(archive: LoadedArchive) -> np.ndarray:
    """Return the network's top class for each cell's picture; -1 where it is not known."""
    top = np.full(len(archive.class_names), -1)
    for row in archive.elites or ():
        try:
            first = int(json.loads(row["top5"])[0][0])
        except (ValueError, LookupError, TypeError) as error:
            raise UserError(f"{archive.path / 'elites.csv'}: top5 is {row['top5']!r}") from error
        if not 0 <= first < len(top):
            raise UserError(f"{archive.path / 'elites.csv'}: top5 goes beyond 0..{len(top) - 1}")
        top[int(row["class_index"])] = first
    return top


def _lines(archive: LoadedArchive, pandas: Any) -> dict[str, Any]:
    """Count the ancestors and goal switches behind each elite, including the last switch."""
    family = family_of(archive.events or {})
    depth, switches = depth_and_switches(family)
    rows = rows_of(family, np.asarray(archive.archive.id))
    last = is_switch(np.asarray(archive.archive.parent_class), np.arange(len(rows)))
    # An empty log has no row: the appended 0 gives row -1 something to read.
    depth, switches = (np.append(values, 0)[rows] for values in (depth, switches))
    return {
        "ancestors": _or_missing(pandas, depth, known=rows >= 0),
        "switches": _or_missing(pandas, switches + last, known=rows >= 0),
    }


def _or_missing(pandas: Any, values: np.ndarray, *, known: np.ndarray) -> Any:
    """Return integers or booleans as a column in which values can be missing."""
    column = pandas.array(values, dtype="boolean" if values.dtype == bool else "Int64")
    column[~known] = pandas.NA
    return column


def _graph_sizes(archive: LoadedArchive) -> dict[str, Any]:
    describe = archive.encoding.describe
    if describe is None:
        return {}
    graphs = [describe(archive.archive.genomes, k) for k in range(len(archive.class_names))]
    if not all("nodes" in graph and "edges" in graph for graph in graphs):
        return {}
    return {part: [len(graph[part]) for graph in graphs] for part in ("nodes", "edges")}
