"""Thumbnails for the page of ancestors that no longer hold a cell, from `genomes.npz`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from qd_fool.report.page.thumbnails import packed
from qd_fool.runs.families import Family
from qd_fool.runs.genomes import FILE, read_genome_log, rows_of_ids
from qd_fool.runs.load import render_genomes
from qd_fool.runs.pictures import to_image
from qd_fool.runs.stored import encoding_of_run

SHOWN = 7
"""Stretches of a line that the page shows before "more", beside the last one; see ancestors.js."""

SIDE, QUALITY = 56, 35
"""Side in pixels and WebP quality of a thumbnail."""

AT_ONCE = 100
"""Pictures drawn in one call, which bounds memory."""


def ancestor_thumbnails(
    run_dir: Path,
    run: Mapping[str, Any],
    family: Family,
    elites: Sequence[tuple[int, int]],
    *,
    budget: int,
) -> dict[int, str]:
    """Draw the ancestors that the page shows, until a budget is used up.

    Args:
      run_dir: Directory of the run.
      run: Contents of the run's `run.json`.
      family: Elites and their ancestors.
      elites: One pair `(row in family, class index)` per elite.
      budget: Characters for all thumbnails. Ancestors of the most elites come first.

    Returns:
      Data URIs by row; none if the run kept no genomes.

    Raises:
      UserError: `genomes.npz` is damaged.
    """
    if not (run_dir / FILE).exists():
        return {}
    encoding = encoding_of_run(run)
    log = read_genome_log(run_dir, encoding)
    if log is None:
        return {}
    wanted = shown_rows(family, elites)
    kept = rows_of_ids(log, family.id[wanted])
    wanted, kept = wanted[kept >= 0], kept[kept >= 0]
    found: dict[int, str] = {}
    for start in range(0, len(wanted), AT_ONCE):
        images = render_genomes(encoding, log.genomes, kept[start : start + AT_ONCE])
        for row, image in zip(wanted[start : start + AT_ONCE], images, strict=True):
            picture = to_image(image)
            found[int(row)] = packed(picture, SIDE, QUALITY)
            budget -= len(found[int(row)])
            if budget < 0:
                return found
    return found


def shown_rows(family: Family, elites: Sequence[tuple[int, int]]) -> Int[np.ndarray, " n"]:
    """Return the ancestors that the page shows, the ancestors of the most elites first.

    The page shows one picture per stretch of a line in one cell, and the first ancestor of a line.
    A stretch with a living elite needs no ancestor: the page has the elite's picture.

    Args:
      family: Elites and their ancestors.
      elites: One pair `(row in family, class index)` per elite. Row -1 is in no log.
    """
    # Count how many lines show each ancestor: at once, or only after a click on "more".
    living = {row for row, _ in elites}
    at_once: Counter[int] = Counter()
    behind: Counter[int] = Counter()
    for row, cell in elites:
        stretches = stretches_of(family, row, cell)
        if stretches:
            at_once[stretches[-1][-1]] += 1
        for i, rows in enumerate(stretches[1:]):
            if not living.isdisjoint(rows):
                continue
            first = i < SHOWN - 1 or i == len(stretches) - 2
            (at_once if first else behind)[rows[0]] += 1
    order = [row for counts in (at_once, behind) for row, _ in counts.most_common()]
    return np.array(list(dict.fromkeys(order)), np.int64)


def stretches_of(family: Family, row: int, cell: int) -> list[list[int]]:
    """Return a line of ancestors, newest first, cut into stretches that lie in one cell.

    Args:
      family: Elites and their ancestors.
      row: Row of the elite; -1 for an elite that is in no log.
      cell: Class index of the elite.

    Returns:
      Lists of rows, one per stretch.
    """
    stretches: list[list[int]] = []
    previous = -1
    while row >= 0:
        if cell != previous:
            stretches.append([])
        stretches[-1].append(row)
        previous, cell, row = cell, int(family.parent_class[row]), int(family.parent[row])
    return stretches
