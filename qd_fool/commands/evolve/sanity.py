"""A check before a run: the network's confidence on noise, and on photographs if given.

A network that gets pictures in the wrong range, channel order or size still gives classes, but its
accuracy is low. On photographs of its classes the accuracy should be high; on noise the network
should be certain of no class.
"""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from rich.console import Console

from qd_fool.commands.common.subject import Subject
from qd_fool.data.photographs import class_of, list_photographs, read_photographs
from qd_fool.errors import UserError
from qd_fool.scoring.bad import is_bad
from qd_fool.scoring.confidence import confidence_of, percent

NOISE = 200
"""Number of pictures of noise."""


PHOTOGRAPHS = 200
"""Highest number of photographs, evenly spaced in the folder."""


def show_sanity(
    subject: Subject, console: Console, *, photos: Path | None = None, convert: bool = False
) -> None:
    """Print the network's confidence on noise, and on photographs.

    Args:
      subject: Network, encoding and scoring of the run.
      console: Console to print to.
      photos: Folder of photographs; None for no photographs.
      convert: Whether to turn photographs of other kinds into 8-bit RGB.

    Raises:
      UserError: The network gives NaN or is not one of photographs, or a photograph can't be read.
    """
    # Photographs that cannot be read are reported before anything is scored.
    photographs = None if photos is None else _photographs(subject, photos, convert=convert)
    console.print(_on_noise(subject))
    if photographs is not None:
        console.print(_on_photographs(subject, *photographs, folder=photos))


def _on_noise(subject: Subject) -> str:
    scorer = subject.scorer
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (NOISE, *subject.encoding.image_shape), dtype=np.uint8)
    scores = subject.score(scorer.params, noise)
    if is_bad(scores).any():
        count = int(is_bad(scores).any(axis=1).sum())
        raise UserError(
            f"{scorer.name} ({scorer.weights}) gives NaN or infinite scores to plain noise "
            f"({count} of {NOISE} pictures): check its weights"
        )
    if np.ptp(scores) == 0:
        raise UserError(
            f"{scorer.name} ({scorer.weights}) is equally confident in all classes for any noise: "
            "check its weights"
        )
    best = scores.max(axis=1)
    top = scorer.class_names[np.unravel_index(np.argmax(scores), scores.shape)[1]]
    return (
        f"on {NOISE} pictures of noise its highest confidence is "
        f"{_percent(float(np.median(best)))} in the median and {_percent(float(best.max()))} at "
        f"most ({top.split(',')[0]})"
    )


def _photographs(
    subject: Subject, folder: Path, *, convert: bool
) -> tuple[list[Path], UInt8[np.ndarray, "n height width 3"]]:
    """The chosen photographs of the folder, and their pixels."""
    if subject.encoding.image_shape[2] != 3:
        raise UserError(f"--photos {folder}: {subject.scorer.name} is no network of photographs")
    paths = list_photographs(folder)
    chosen = np.linspace(0, len(paths) - 1, min(len(paths), PHOTOGRAPHS)).round().astype(int)
    paths = [paths[i] for i in chosen]
    side = subject.encoding.image_shape[:2]
    return paths, np.concatenate(list(read_photographs(paths, side=side, convert=convert)))


def _on_photographs(
    subject: Subject,
    paths: list[Path],
    images: UInt8[np.ndarray, "n height width 3"],
    *,
    folder: Path | None,
) -> str:
    scores = subject.score(subject.scorer.params, images)
    confidence = (
        f"on {len(paths)} photographs of {folder} its highest confidence is "
        f"{_percent(float(np.median(scores.max(axis=1))))} in the median"
    )
    try:
        classes = np.asarray([class_of(path, subject.scorer.wnids) for path in paths])
    except UserError:  # file names need not name a class
        return confidence
    right = (scores.argmax(axis=1) == classes).mean()
    return f"{confidence}, and {right:.1%} are classified correctly"


def _percent(log_odds: float) -> str:
    return percent(float(confidence_of(log_odds)), digits=2)
