"""What an encoding's channels mean: gray, or hue, lightness and saturation, and the like.

The original's colour pictures are 8-bit HLS, converted by OpenCV (phen_color_image.hpp:162-186,
fit_map_deep_learning.hpp:197-207); the paper says HSV. A hue byte counts 2 degrees and may exceed
a whole turn: 180 is 0 again.
"""

from collections.abc import Sequence
from typing import get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt8

from qd_fool.choices import Color
from qd_fool.errors import UserError


def resolve_color(color: str | None, channels: int) -> str:
    """The meaning of an encoding's channels, for pictures of a number of channels.

    Args:
      color: of `Color`, or None for what the original has: gray for 1 channel, HLS for 3.
      channels: of the pictures, 1 or 3.

    Raises:
      UserError: no such meaning, or colour in gray pictures.
    """
    if color is None:
        return "gray" if channels == 1 else "hls"
    if color not in get_args(Color):
        raise UserError(f"color is {color!r}: expected one of {', '.join(get_args(Color))}")
    if channels == 1 and color != "gray":
        raise UserError(f"color is {color!r}: the network's pictures have 1 channel, expected gray")
    return color


def planes_of(color: str) -> int:
    """How many values a pixel has before it is converted."""
    return 1 if color == "gray" else 3


def nearest_byte(values: Float[Array, "*pixels"]) -> Int[Array, "*pixels"]:
    """The integers nearest to values in 0..255, ties to even, as int32.

    From 2^23 on a float32 counts in ones, and the count stands in its low bits. A conversion, which
    XLA guards against NaN and overflow, costs several instructions more, which shows on CPU. Of NaN
    any byte may come.
    """
    counted = values + jnp.float32(2**23)
    return jax.lax.bitcast_convert_type(counted, jnp.int32) & 255


def bytes_to_pixels(
    planes: Sequence[Int[Array, "*pixels"]], *, color: str, channels: int
) -> UInt8[Array, "*pixels channels"]:
    """8-bit planes to pixels, in integers: the same on every machine.

    HLS equals OpenCV's 8-bit COLOR_HLS2BGR (4.14 and 5.0) in all 256^3 colours. HSV is rounded to
    the nearest; OpenCV's differs by one in places, and with the width of the picture.

    Args:
      planes: one or three arrays of one shape, int32 in 0..255.
      color: what they mean.
      channels: of the pictures.
    """
    if color == "gray":
        gray = planes[0].astype(jnp.uint8)[..., None]
        return jnp.broadcast_to(gray, (*gray.shape[:-1], channels))
    if color == "rgb":
        return _interleave(*planes)
    if color == "hls":
        hue, light, saturation = planes
        strength = jnp.minimum(light, 255 - light) * saturation
        # The exact value is light + strength * weight / 3825, never a tie, as 3825 is odd: float32
        # has room to round it. OpenCV's float hue of byte 244 is a little high, which takes two
        # colours (both of strength 21733) over the half; one more there follows it.
        high = ((hue == 244) & (strength == 21733)).astype(jnp.int32)
        base = light.astype(jnp.float32)

        def channel(weight: Array) -> Array:
            above = (strength * weight + high).astype(jnp.float32) * jnp.float32(1 / 3825)
            return nearest_byte(base + above)

        return _interleave(*map(channel, _hue_weights(hue)))
    hue, saturation, value = planes
    less = [2 * value * saturation * (15 - weight) for weight in _hue_weights(hue)]
    return _interleave(*(value - (x + 7650) // 15300 for x in less))


def floats_to_pixels(
    planes: Sequence[Float[Array, "*pixels"]], *, color: str, channels: int
) -> Float[Array, "*pixels channels"]:
    """The same for unrounded values in 0..255; differentiable almost everywhere.

    There is no gradient for hue where lightness is 0 or 255 or saturation 0: those have no hue.
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
    """How much red, green and blue lie above (15) or below (-15) the middle at a hue."""
    turned = jnp.where(hue >= 180, hue - 180, hue)
    red = jnp.abs(turned - 90) - 45
    green = 45 - jnp.abs(turned - 60)
    blue = 45 - jnp.abs(turned - 120)
    return jnp.clip(red, -15, 15), jnp.clip(green, -15, 15), jnp.clip(blue, -15, 15)


def _interleave(red: Array, green: Array, blue: Array) -> UInt8[Array, "*pixels 3"]:
    # A packed word a pixel: several times faster on CPU than stacking on the last axis.
    word = red | (green << 8) | (blue << 16)
    return jax.lax.bitcast_convert_type(word.astype(jnp.int32), jnp.uint8)[..., :3]
