"""How a picture enters a network: its layout, size, channels and scale, read from the file."""

import dataclasses
from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

from qd_fool.errors import UserError
from qd_fool.models.foreign.onnx.graph import Graph, Input
from qd_fool.models.foreign.onnx.values import Laid, channels_last, lay
from qd_fool.models.foreign.pictures import (
    CHANNELS,
    LARGEST,
    LAYOUTS,
    check_choice,
    per_channel,
)
from qd_fool.models.preprocessing import IMAGENET_MEAN, IMAGENET_STD
from qd_fool.models.sides import Size, sides_of, size_in_words


@dataclasses.dataclass(frozen=True)
class Picture:
    """The input of a network.

    Attributes:
      layout: Order of the axes: "nchw" or "nhwc".
      sides: Height and width in pixels.
      channels: Order of the channels: "rgb", "bgr" or "gray".
      depth: Channels that the network takes; 3 for a gray picture that is given three times.
      mean: One number per channel of the network, in its order, 0..255.
      std: One number per channel of the network, in its order.
      batch: Pictures that the file is bound to take at once; None where it leaves that open.
    """

    layout: str
    sides: tuple[int, int]
    channels: str
    depth: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    batch: int | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of a picture that is shown."""
        return (*self.sides, 1 if self.channels == "gray" else self.depth)

    @property
    def black(self) -> tuple[float, ...]:
        """The mean, in the order of the picture's channels."""
        if self.channels == "gray":
            return (sum(self.mean) / len(self.mean),)
        return self.mean[::-1] if self.channels == "bgr" else self.mean

    def preprocess(
        self, images: Float[Array, "n height width channels"]
    ) -> Float[Array, "n height width depth"]:
        """`(pixel - mean) / std`, in the network's order of channels."""
        x = images[..., ::-1] if self.channels == "bgr" else images
        if self.depth > x.shape[-1]:
            x = jnp.repeat(x, self.depth, axis=-1)
        mean = jnp.asarray(self.mean, x.dtype)[None, None, None]
        scale = jnp.asarray([1 / value for value in self.std], x.dtype)[None, None, None]
        return (x - mean) * scale

    def enter(self, x: Float[Array, "n height width depth"]) -> Laid:
        """The network's input as ONNX counts its axes; no number moves."""
        return Laid(x, channels_last(4)) if self.layout == "nchw" else lay(x)


def read_picture(
    graph: Graph,
    *,
    layout: str,
    input_size: Size | None,
    channels: str,
    mean: float | int | Sequence[float | int] | None,
    std: float | int | Sequence[float | int] | None,
    source: str,
) -> Picture:
    """The input of a network, from its file and from flags.

    Args:
      graph: Graph with its inputs.
      layout: Order of the axes, one of `LAYOUTS`.
      input_size: Side in pixels, or height and width, if the file does not fix them.
      channels: Order of the channels, one of `CHANNELS`.
      mean: One number, or one per channel in the network's order; None for the default.
      std: One number, or one per channel in the network's order; None for the default.
      source: Name of the file, for errors.

    Raises:
      UserError: The input is no picture, or file and flags disagree.
    """
    check_choice("--layout", layout, LAYOUTS)
    check_choice("--channels", channels, CHANNELS)
    if len(graph.inputs) != 1:
        names = ", ".join(given.name for given in graph.inputs)
        raise UserError(f"{source}: {len(graph.inputs)} inputs ({names}): expected one picture")
    given = graph.inputs[0]
    shape = given.shape if given.shape is not None else (None,) * 4
    if len(shape) != 4:
        raise UserError(
            f"{source}: the input {given.name!r} has {len(shape)} axes: expected four, "
            "pictures, channels, height and width"
        )
    if layout == "auto":
        layout = "nhwc" if shape[3] in (1, 3) and shape[1] not in (1, 3) else "nchw"
    depth, sides = (shape[1], shape[2:]) if layout == "nchw" else (shape[3], shape[1:3])
    depth = depth if depth is not None else (1 if channels == "gray" else 3)
    if depth not in (1, 3):
        raise UserError(
            f"{source}: the input {given.name!r} of shape {_shown(shape)} has {depth} channels in "
            f"the layout {layout}: expected 1 or 3"
        )
    if channels == "auto":
        channels = "gray" if depth == 1 else "rgb"
    elif channels != "gray" and depth == 1:
        raise UserError(f"--channels {channels}: the network of {source} takes gray pictures")
    usual = _usual(given, depth)
    return Picture(
        layout=layout,
        sides=_sides(sides, input_size, source=source),
        channels=channels,
        depth=depth,
        mean=per_channel("--mean", mean, usual[0], depth),
        std=per_channel("--std", std, usual[1], depth, positive=True),
        batch=shape[0],
    )


def _shown(shape: Sequence[int | None]) -> str:
    return "x".join("?" if n is None else str(n) for n in shape)


def _sides(sides: Sequence[int | None], input_size: Size | None, *, source: str) -> tuple[int, int]:
    """Height and width of the input."""
    wanted = (None, None) if input_size is None else sides_of(input_size)
    height, width = (
        known if known is not None else flag for known, flag in zip(sides, wanted, strict=True)
    )
    # A file that fixes one side leaves a square.
    height, width = height or width, width or height
    if height is None or width is None:
        raise UserError(
            f"{source}: the file leaves open how large its pictures are: say so with --input-size"
        )
    if input_size is not None and (height, width) != wanted:
        raise UserError(
            f"--input-size {size_in_words(input_size)}: the network of {source} takes "
            f"{height}x{width} pixels"
        )
    if not 1 <= min(height, width) <= max(height, width) <= LARGEST:
        raise UserError(
            f"{source}: pictures of {height}x{width} pixels: expected sides of 1 to {LARGEST}"
        )
    return height, width


def _usual(given: Input, depth: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """ImageNet's mean and deviation for colour, 0..1 for gray, bytes where the input is bytes."""
    if given.dtype in ("uint8", "int8", "int32", "int64"):
        return (0.0,) * depth, (1.0,) * depth
    if depth == 1:
        return (0.0,), (255.0,)
    return tuple(255 * v for v in IMAGENET_MEAN), tuple(255 * v for v in IMAGENET_STD)
