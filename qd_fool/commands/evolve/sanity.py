"""Before a run: what the network says to plain noise, and to photographs if there are any.

A network that is shown its pictures in the wrong range, channel order or size still classifies
something; its accuracy tells. On photographs of its classes it ought to be high, on noise nothing
ought to be certain.
"""

from pathlib import Path

import numpy as np
from rich.console import Console

from qd_fool.commands.evolve.plan import EvolvePlan
from qd_fool.data.photographs import class_of, list_photographs, read_photographs
from qd_fool.errors import UserError
from qd_fool.scoring.confidence import confidence_of, percent

NOISE = 200


PHOTOGRAPHS = 200
"""At most so many are looked at, evenly spaced in the folder."""


def show_sanity(planned: EvolvePlan, console: Console) -> None:
    """Print the network's confidence on noise, and on the photographs of `--photos`.

    Raises:
      UserError: the network gives NaN, knows no photographs, or one of them can't be read.
    """
    for line in sanity(planned):
        console.print(line)


def sanity(planned: EvolvePlan) -> list[str]:
    """A sentence on noise and one on photographs."""
    photographs = _photographs(planned)  # what cannot be read is told before anything is scored
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (NOISE, *planned.encoding.image_shape), dtype=np.uint8)
    names = planned.scorer.class_names
    scores = planned.score(planned.scorer.params, noise)
    if not np.isfinite(scores).all():
        raise UserError(
            f"{planned.scorer.name} ({planned.scorer.weights}) gives NaN or infinite scores to "
            "plain noise: check its weights"
        )
    if np.ptp(scores) == 0:
        raise UserError(
            f"{planned.scorer.name} ({planned.scorer.weights}) is equally confident in all classes "
            "for any noise: check its weights"
        )
    best = scores.max(axis=1)
    top = np.unravel_index(np.argmax(scores), scores.shape)[1]
    lines = [
        f"on {NOISE} pictures of noise its highest confidence is "
        f"{_percent(float(np.median(best)))} in the median and {_percent(float(best.max()))} at "
        f"most ({names[top].split(',')[0]})"
    ]
    if photographs is not None:
        lines.append(_on_photographs(planned, *photographs))
    return lines


def _photographs(planned: EvolvePlan) -> tuple[list[Path], np.ndarray] | None:
    """Some of the folder, and their pixels `(n, side, side, 3)`; None where none was named."""
    folder = planned.config.photos
    if folder is None:
        return None
    if planned.encoding.image_shape[2] != 3:
        raise UserError(f"--photos {folder}: {planned.scorer.name} is no network of photographs")
    paths = list_photographs(folder)
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), PHOTOGRAPHS)).round().astype(int)
    paths = [paths[i] for i in chosen]
    side = min(planned.encoding.image_shape[:2])
    batches = read_photographs(paths, side=side, convert=planned.config.convert)
    return paths, np.concatenate(list(batches))


def _on_photographs(planned: EvolvePlan, paths: list[Path], images: np.ndarray) -> str:
    scores = planned.score(planned.scorer.params, images)
    told = (
        f"on {len(paths)} photographs of {planned.config.photos} its highest confidence is "
        f"{_percent(float(np.median(scores.max(axis=1))))} in the median"
    )
    try:
        classes = np.asarray([class_of(path, planned.scorer.wnids) for path in paths])
    except UserError:  # nothing to compare with: photographs need not be named by their class
        return told
    right = (scores.argmax(axis=1) == classes).mean()
    return f"{told}, and {right:.1%} are classed right"


def _percent(log_odds: float) -> str:
    return percent(float(confidence_of(log_odds)), digits=2)
