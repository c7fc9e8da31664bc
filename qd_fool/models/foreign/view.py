"""The form in which a function on the host takes its pictures."""

import dataclasses

import numpy as np
from jaxtyping import Float, Num, UInt8

from qd_fool.errors import UserError
from qd_fool.models.foreign.pictures import (
    CHANNELS,
    LARGEST,
    LAYOUTS,
    Numbers,
    check_choice,
    per_channel,
)


@dataclasses.dataclass(frozen=True)
class View:
    """The form in which a function takes its pictures.

    Attributes:
      shape: Height, width and channels of the pictures that are drawn.
      layout: Order of the axes: "nhwc" or "nchw".
      reverse: Whether the channels are in the order blue, green, red.
      mean: One number per channel, in the function's order; None for bytes.
      std: One number per channel, in the function's order.
    """

    shape: tuple[int, int, int]
    layout: str
    reverse: bool
    mean: tuple[float, ...] | None
    std: tuple[float, ...]

    def enter(self, pictures: UInt8[np.ndarray, "n height width channels"]) -> np.ndarray:
        """Return an array of the function's own, which it may change."""
        x: np.ndarray = pictures[..., ::-1] if self.reverse else pictures
        if self.mean is not None:
            mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
            x = (x.astype(np.float32) - mean) / std
        return np.array(x.transpose(0, 3, 1, 2) if self.layout == "nchw" else x, order="C")

    def leave(
        self, slopes: Num[np.ndarray, "n a b c"]
    ) -> Float[np.ndarray, "n height width channels"]:
        """Return a gradient of the function's arrays as a gradient of the pictures."""
        x = slopes.transpose(0, 2, 3, 1) if self.layout == "nchw" else slopes
        if self.mean is not None:
            x = x / np.asarray(self.std, np.float32)
        return np.asarray(x[..., ::-1] if self.reverse else x, np.float32)

    @property
    def black(self) -> tuple[float, ...]:
        """The mean, in the order of the picture's channels."""
        mean = self.mean or (0.0,) * self.shape[2]
        return mean[::-1] if self.reverse else mean


def read_view(
    image_shape: tuple[int, int, int],
    *,
    layout: str,
    channels: str,
    mean: Numbers | None,
    std: Numbers | None,
    source: str,
) -> View:
    """Return the form in which a function takes its pictures, from settings.

    Raises:
      UserError: A setting is wrong.
    """
    check_choice("--layout", layout, LAYOUTS)
    check_choice("--channels", channels, CHANNELS)
    height, width, depth = image_shape
    if not 1 <= min(height, width) <= max(height, width) <= LARGEST or depth not in (1, 3):
        raise UserError(
            f"{source}: image_shape is {tuple(image_shape)}: expected height, width and 1 or 3 "
            f"channels, sides up to {LARGEST}"
        )
    if channels in ("rgb", "bgr") and depth == 1:
        raise UserError(f"--channels {channels}: {source} takes gray pictures")
    if channels == "gray" and depth == 3:
        raise UserError(f"--channels gray: {source} takes pictures of 3 channels")
    floats = mean is not None or std is not None
    return View(
        shape=(height, width, depth),
        layout="nhwc" if layout == "auto" else layout,
        reverse=channels == "bgr",
        mean=per_channel("--mean", mean, (0.0,) * depth, depth) if floats else None,
        std=per_channel("--std", std, (1.0,) * depth, depth, positive=True),
    )
