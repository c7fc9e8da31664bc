"""Colour spaces of an encoding's channels: gray, HLS, HSV or RGB, and their conversion to pixels.

The original's colour pictures are 8-bit HLS, converted by OpenCV (phen_color_image.hpp:162-186,
fit_map_deep_learning.hpp:197-207); the paper says HSV. One unit of a hue byte is 2 degrees. A byte
may exceed a whole turn: 180 is the same hue as 0.
"""

from collections.abc import Sequence
from typing import get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from qd_fool.choices import Color
from qd_fool.errors import UserError


def resolve_color(color: str | None, channels: int) -> str:
    """Return the colour space of an encoding, for pictures of a number of channels.

    Args:
      color: One of `Color`; None for the original's, gray for 1 channel and HLS for 3.
      channels: Number of channels of the pictures, 1 or 3.

    Raises:
      UserError: There is no such colour space, or the pictures are gray and the space is not.
    """
    if color is None:
        return "gray" if channels == 1 else "hls"
    if color not in get_args(Color):
        raise UserError(f"color is {color!r}: expected one of {', '.join(get_args(Color))}")
    if channels == 1 and color != "gray":
        raise UserError(f"color is {color!r}: the network's pictures have 1 channel, expected gray")
    return color


def planes_of(color: str) -> int:
    """Return the number of values per pixel before the conversion."""
    return 1 if color == "gray" else 3


def nearest_byte(values: Float[Array, "*pixels"]) -> Int[Array, "*pixels"]:
    """Return the integers nearest to values in 0..255, ties to even, as int32.

    A NaN may give any byte. XLA guards an ordinary conversion against NaN and overflow, which costs
    several more instructions and is slower on CPU.
    """
    # From 2^23 on, neighbouring float32 numbers differ by 1. So adding 2^23 rounds a value to an
    # integer, which then stands in the lowest bits.
    counted = values + jnp.float32(2**23)
    return jax.lax.bitcast_convert_type(counted, jnp.int32) & 255


def bytes_to_pixels(
    planes: Sequence[Int[Array, "*pixels"]], *, color: str, channels: int
) -> UInt8[Array, "*pixels channels"]:
    """Convert 8-bit planes to pixels. The result is the same on every machine.

    HLS equals OpenCV's 8-bit COLOR_HLS2BGR (4.14 and 5.0) in all 256^3 colours. HSV is rounded to
    the nearest integer. OpenCV's HSV differs by one in places, depending on the picture's width.

    Args:
      planes: One or three arrays of one shape, int32 in 0..255.
      color: Colour space of the planes.
      channels: Number of channels of the pictures.
    """
    if color == "gray":
        gray = planes[0].astype(jnp.uint8)[..., None]
        return jnp.broadcast_to(gray, (*gray.shape[:-1], channels))
    if color == "rgb":
        return _interleave(*planes)

    # Whole numbers below 2^24 are exact in float32, which a CPU multiplies faster than integers.
    hue, *others = (plane.astype(jnp.float32) for plane in planes)
    if color == "hls":
        light, saturation = others
        strength = jnp.minimum(light, 255.0 - light) * saturation
        # The exact value is light + strength * weight / 3825. It is never a tie, because 3825 is
        # odd, so float32 is precise enough to round it. OpenCV's float hue for byte 244 is a little
        # too high, which rounds two colours up (both of strength 21733). `high` does the same: it
        # is 1 there, else 0. Distances are faster than comparisons in what XLA makes for CPUs.
        high = jnp.maximum(1.0 - jnp.abs(hue - 244.0) - jnp.abs(strength - 21733.0), 0.0)

        def channel(weight: Array) -> Array:
            return nearest_byte(light + (strength * weight + high) * jnp.float32(1 / 3825))

        return _interleave(*map(channel, _hue_weights(hue)))

    # HSV: what a channel lies below the value is a multiple of 1 / 7650. The quarter carries ties
    # up, and is less than the distance to any other tie.
    saturation, value = others
    strength = value * saturation

    def below(weight: Array) -> Array:
        return nearest_byte((strength * (15.0 - weight) + 0.25) * jnp.float32(1 / 7650))

    return _interleave(*(planes[2] - below(weight) for weight in _hue_weights(hue)))


def floats_to_pixels(
    planes: Sequence[Float[Array, "*pixels"]], *, color: str, channels: int
) -> Float[Array, "*pixels channels"]:
    """Convert planes of unrounded values in 0..255 to pixels; differentiable almost everywhere.

    The gradient for hue is 0 where lightness is 0 or 255, or saturation is 0: such colours have no
    hue.

    Args:
      planes: One or three arrays of one shape.
      color: Colour space of the planes.
      channels: Number of channels of the pictures.
    """
    if color == "gray":
        return jnp.broadcast_to(planes[0][..., None], (*planes[0].shape, channels))
    if color == "rgb":
        return jnp.stack(planes, axis=-1)
    if color == "hls":
        hue, light, saturation = planes
        strength = jnp.minimum(light, 255.0 - light) * saturation
        return jnp.stack([light + strength * w / 3825.0 for w in _hue_weights(hue)], axis=-1)
    hue, saturation, value = planes
    strength = value * saturation
    return jnp.stack([value - strength * (15.0 - w) / 7650.0 for w in _hue_weights(hue)], axis=-1)


def _hue_weights(hue: Array) -> tuple[Array, Array, Array]:
    """Return how far red, green and blue lie above (15) or below (-15) the middle at a hue."""
    turned = jnp.where(hue >= 180, hue - 180, hue)
    red = jnp.abs(turned - 90) - 45
    green = 45 - jnp.abs(turned - 60)
    blue = 45 - jnp.abs(turned - 120)
    return jnp.clip(red, -15, 15), jnp.clip(green, -15, 15), jnp.clip(blue, -15, 15)


def _interleave(red: Array, green: Array, blue: Array) -> UInt8[Array, "*pixels 3"]:
    # One packed word per pixel: several times faster on CPU than stacking on the last axis.
    word = red | (green << 8) | (blue << 16)
    return jax.lax.bitcast_convert_type(word.astype(jnp.int32), jnp.uint8)[..., :3]
