"""The crops of a picture that a network sees: the centre, or the original code's ten places."""

from collections.abc import Callable
from typing import TypeVar, assert_never

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from qd_fool.errors import UserError
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.joint import JointScorer
from qd_fool.models.network import Network
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import Size, sides_of
from qd_fool.scoring.check_scorer import check_scorer

Tree = TypeVar("Tree")

Place = tuple[Array | int, Array | int, Array | bool]
"""Top and left of a crop in pixels, and whether it is mirrored."""


def check_crops(scorer: Network, image_shape: tuple[int, ...], *, crops: int) -> None:
    """Check that pictures of a shape `(height, width, channels)` can be cut for a scorer.

    Raises:
      UserError: The pictures are too small or have the wrong number of channels, the number of
        crops is neither 1 nor 10, or the scorer itself is wrong (`check_scorer`).
    """
    match scorer:
        case Scorer():
            check_scorer(scorer)
            _check_crops_of_one(scorer, image_shape, crops=crops)
        case HostScorer():
            _check_crops_of_one(scorer, image_shape, crops=crops)
        case JointScorer():
            for member in scorer.members:
                check_crops(member, image_shape, crops=crops)
        case _:
            assert_never(scorer)


def _check_crops_of_one(
    scorer: Scorer | HostScorer, image_shape: tuple[int, ...], *, crops: int
) -> None:
    height, width, channels = image_shape
    (high, wide), want = sides_of(scorer.input_size), scorer.image_shape[2]
    if channels != want:
        raise UserError(f"images have {channels} channels: {scorer.name} expects {want}")
    if crops not in (1, 10):
        raise UserError(f"crops is {crops}: expected 1 (centre) or 10 (five places and mirrors)")
    if height < high or width < wide:
        raise UserError(
            f"images are {height}x{width}: {scorer.name} expects at least {high}x{wide}"
        )
    if crops == 10 and (height == high or width == wide):
        raise UserError(
            f"ten crops need images larger than the network's {high}x{wide} input, "
            f"and these are {height}x{width}"
        )


def crop_places(
    image_shape: tuple[int, ...], *, size: Size, crops: int
) -> list[tuple[int, int, bool]]:
    """Return top, left and "mirrored" of each crop.

    One crop is the centre. Ten crops are the corners and the centre, each also mirrored, as in the
    original (fit_deep_learning.hpp:70-178). The centre's offset is rounded down, as it is there.
    """
    high, wide = sides_of(size)
    y, x = image_shape[0] - high, image_shape[1] - wide
    centre = (y // 2, x // 2)
    if crops == 1:
        return [(*centre, False)]
    places = [(0, 0), (0, x), (y, 0), (y, x), centre]
    return [(*place, mirrored) for mirrored in (False, True) for place in places]


def seen_window(
    scorer: Network, image_shape: tuple[int, ...], *, crops: int
) -> tuple[int, int, int, int] | None:
    """Return the only part of pictures that a network sees: top, left, height and width.

    None if the network sees the whole of each picture, or networks see parts of several sizes.
    """
    match scorer:
        case JointScorer():
            sizes = {sides_of(member.input_size) for member in scorer.members}
        case _:
            sizes = {sides_of(scorer.input_size)}
    size, *others = sizes
    if crops != 1 or others or image_shape[:2] == size:
        return None
    ((top, left, _),) = crop_places(image_shape, size=size, crops=1)
    return top, left, *size


def crop(
    images: Num[Array, "n height width channels"],
    place: Place,
    *,
    size: Size,
) -> Num[Array, "n high wide channels"]:
    """Cut the network's input from pictures at one place, such as one of `crop_places`."""
    top, left, mirrored = place
    high, wide = sides_of(size)
    cut = jax.lax.dynamic_slice_in_dim(images, top, high, axis=1)
    cut = jax.lax.dynamic_slice_in_dim(cut, left, wide, axis=2)
    return jnp.where(mirrored, cut[:, :, ::-1], cut)


def map_crops(
    function: Callable[[Float[Array, "n high wide channels"]], Tree],
    images: Num[Array, "n height width channels"],
    *,
    size: Size,
    crops: int,
) -> Tree:
    """Apply a function to the crops of pictures, one crop at a time.

    The chunk was chosen for one crop per picture: this way the network never sees more pictures at
    once. No cut picture is kept.

    Args:
      function: Function `cut (n, high, wide, channels) float32 -> pytree of arrays`.
      images: The pictures.
      size: Side of the network's input, or its height and width.
      crops: 1 or 10.

    Returns:
      The function's results, `(crops, ...)`.
    """

    def at(place: Place) -> Tree:
        return function(crop(images, place, size=size).astype(jnp.float32))

    places = crop_places(images.shape[1:], size=size, crops=crops)
    if crops == 1:
        return jax.tree.map(lambda a: a[None], at(places[0]))
    # A loop over places, which are arrays: the network is compiled once, not ten times.
    columns = tuple(jnp.asarray(column) for column in zip(*places, strict=True))
    return jax.lax.map(at, columns)
