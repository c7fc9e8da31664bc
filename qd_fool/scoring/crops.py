"""Where the network's input is cut from a picture: the centre, or the original's ten places."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Num

from qd_fool.errors import UserError
from qd_fool.models.scorer import Scorer

Place = tuple[Array | int, Array | int, Array | bool]
"""Top and left of a crop in pixels, and whether it is mirrored."""


def check_crops(scorer: Scorer, image_shape: tuple[int, ...], *, crops: int) -> None:
    """See that pictures of a shape `(height, width, channels)` can be cut for a network.

    Raises:
      UserError: too small, the wrong number of channels, or crops other than 1 and 10.
    """
    for member in scorer.members:
        check_crops(member, image_shape, crops=crops)
    height, width, channels = image_shape
    size, want = scorer.input_size, scorer.image_shape[2]
    if channels != want:
        raise UserError(f"images have {channels} channels: {scorer.name} expects {want}")
    if crops not in (1, 10):
        raise UserError(f"crops is {crops}: expected 1 (centre) or 10 (five places and mirrors)")
    small = min(height, width)
    if small < size:
        raise UserError(
            f"images are {height}x{width}: {scorer.name} expects at least {size}x{size}"
        )
    if crops == 10 and small == size:
        raise UserError(
            f"ten crops need images larger than the network's {size}x{size} input, "
            f"and these are {height}x{width}"
        )


def crop_places(
    image_shape: tuple[int, ...], *, size: int, crops: int
) -> list[tuple[int, int, bool]]:
    """Top, left and "mirrored" of each crop: the centre's, or those of the original's ten.

    Ten: the corners and the centre, each also mirrored (fit_deep_learning.hpp:70-178). The centre's
    offset is rounded down, as there.
    """
    y, x = image_shape[0] - size, image_shape[1] - size
    centre = (y // 2, x // 2)
    if crops == 1:
        return [(*centre, False)]
    places = [(0, 0), (0, x), (y, 0), (y, x), centre]
    return [(*place, mirrored) for mirrored in (False, True) for place in places]


def crop(
    images: Num[Array, "n height width channels"],
    place: Place,
    *,
    size: int,
) -> Num[Array, "n size size channels"]:
    """Cut the network's input from pictures, at one of `crop_places`."""
    top, left, mirrored = place
    cut = jax.lax.dynamic_slice_in_dim(images, top, size, axis=1)
    cut = jax.lax.dynamic_slice_in_dim(cut, left, size, axis=2)
    return jnp.where(mirrored, cut[:, :, ::-1], cut)
