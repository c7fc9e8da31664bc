"""Answers of networks to pictures: the confidence in each picture's target, and the top class."""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, UInt8

from qd_fool.data.photographs import centre_cut
from qd_fool.devices.processes import ALONE, Team
from qd_fool.errors import UserError
from qd_fool.models.network import SingleNetwork, default_chunk
from qd_fool.models.sides import sides_of
from qd_fool.runs.pictures import read_image, to_image
from qd_fool.scoring.bad import is_bad
from qd_fool.scoring.crops import check_crops, crop_places
from qd_fool.scoring.score import SCORE_AT_ONCE, score_function, shared_score_function

Shape = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Answers:
    """The answers of networks to pictures. They are NaN and -1 if a network was not asked.

    Attributes:
      log_odds: Log-odds of the target class.
      argmax: Top class: the class that the network is most confident about.
      argmax_log_odds: Log-odds of the top class.
    """

    log_odds: Float[np.ndarray, "images *networks"]
    argmax: Int[np.ndarray, "images *networks"]
    argmax_log_odds: Float[np.ndarray, "images *networks"]


def is_small(scorer: SingleNetwork, shape: Shape) -> bool:
    """Whether pictures of this shape are smaller than the network's input."""
    high, wide = sides_of(scorer.input_size)
    return shape[0] < high or shape[1] < wide


def shown_shape(scorer: SingleNetwork, shape: Shape) -> Shape:
    """The shape of pictures before they are cropped: unchanged, unless they must be enlarged."""
    if not is_small(scorer, shape):
        return shape
    return *scorer.image_shape[:2], shape[2]


def check_shapes(
    scorer: SingleNetwork, paths: Sequence[Path], shapes: Sequence[Shape], *, crops: int
) -> None:
    """Check, before anything is scored, that a network can take all pictures.

    Args:
      scorer: Network.
      paths: Files of the pictures.
      shapes: Shape of each picture on disk.
      crops: Crops per picture: 1 or 10.

    Raises:
      UserError: The network can't take that many crops of a picture.
    """
    for shape, path in dict(zip(reversed(shapes), reversed(paths), strict=True)).items():
        try:
            check_crops(scorer, shown_shape(scorer, shape), crops=crops)
        except UserError as error:
            raise UserError(f"image {path}: {error}") from error


def show(
    scorer: SingleNetwork, path: Path, *, crops: int
) -> UInt8[np.ndarray, "height width channels"]:
    """A picture as it is shown to a network: pixel for pixel, or enlarged as photographs are.

    A single crop is cut out here already, so that one program scores all sizes.
    """
    channels, size = scorer.image_shape[2], scorer.input_size
    pixels = read_image(path, channels=channels)
    if is_small(scorer, pixels.shape):
        image = to_image(pixels)
        enlarged = centre_cut(image, scorer.image_shape[:2])
        pixels = np.asarray(enlarged).reshape(*enlarged.size[::-1], channels)
    if crops == 1:
        top, left, _ = crop_places(pixels.shape, size=size, crops=1)[0]
        high, wide = sides_of(size)
        pixels = pixels[top : top + high, left : left + wide]
    return pixels


def ask(
    scorer: SingleNetwork,
    paths: Sequence[Path],
    *,
    shapes: Sequence[Shape],
    targets: Int[np.ndarray, " images"],
    crops: int,
    count: Callable[[int], None] = lambda _: None,
    team: Team = ALONE,
) -> Answers:
    """Score pictures with one network.

    Args:
      scorer: Network.
      paths: Files of the pictures.
      shapes: Shape of each picture on disk.
      targets: Target class of each picture; -1 stands for the network's top class.
      crops: Crops per picture: 1 (centre) or 10.
      count: Function to call with the number of pictures scored since the last call.
      team: Processes that share the pictures.

    Returns:
      Answers `(images,)`.

    Raises:
      UserError: The network gives NaN or infinite scores, a picture can't be read any more, or
        another process has ended.
    """
    chunk = default_chunk(scorer)
    score = score_function(scorer, crops=crops, chunk=chunk)
    score = shared_score_function(score, team, chunk=chunk)
    n = len(paths)
    log_odds, best = np.empty(n), np.empty(n)
    argmax = np.empty(n, np.int64)
    # Pictures of one shape are scored together.
    groups: dict[Shape | None, list[int]] = {}
    for i, shape in enumerate(shapes):
        key = None if crops == 1 else shown_shape(scorer, shape)
        groups.setdefault(key, []).append(i)
    for members in groups.values():
        # All batches have one size: one program scores them all.
        size = -(-len(members) // -(-len(members) // SCORE_AT_ONCE))
        for start in range(0, len(members), size):
            batch = np.asarray(members[start : start + size])
            images = np.stack([show(scorer, paths[i], crops=crops) for i in batch])
            filled = np.concatenate([images, images[:1].repeat(size - len(batch), axis=0)])
            odds = score(scorer.params, filled)[: len(batch)]
            if is_bad(odds).any():
                raise UserError(f"{scorer.name} ({scorer.weights}) gives NaN or infinite scores")
            rows = np.arange(len(batch))
            argmax[batch] = odds.argmax(axis=1)
            best[batch] = odds[rows, argmax[batch]]
            wanted = np.where(targets[batch] < 0, argmax[batch], targets[batch])
            log_odds[batch] = odds[rows, wanted]
            count(len(batch))
    return Answers(log_odds, argmax, best)
