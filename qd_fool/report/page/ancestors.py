"""Pictures of ancestors that hold no cell any more, from `genomes.npz`, small ones for the page."""

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
"""Of a line's stretches, those that the page shows at once, beside the last; see ancestors.js."""


SIDE, QUALITY = 56, 35


AT_ONCE = 100


def ancestor_thumbnails(
    run_dir: Path,
    run: Mapping[str, Any],
    family: Family,
    elites: Sequence[tuple[int, int]],
    *,
    budget: int,
) -> dict[int, str]:
    """Pictures of the ancestors that the page's chains show, as far as a budget goes.

    Args:
      run_dir: of the run.
      run: its `run.json`.
      family: elites and their ancestors.
      elites: `(row in family, class index)` each.
      budget: characters for all; those in the lines of most elites come first.

    Returns:
      Data URIs by row; none where the run kept no genomes.

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
    """Which ancestors stand for a stretch of a chain in one cell: those of most elites first.

    A stretch in which an elite is still alive is shown by that one's picture. The first of a line
    is shown, too.

    Args:
      family: elites and their ancestors.
      elites: `(row in family, class index)` each; a row of -1 is in no log.
    """
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
    """A line of ancestors, newest first, cut where it came from another cell; `[rows, ...]`."""
    stretches: list[list[int]] = []
    previous = -1
    while row >= 0:
        if cell != previous:
            stretches.append([])
        stretches[-1].append(row)
        previous, cell, row = cell, int(family.parent_class[row]), int(family.parent[row])
    return stretches
