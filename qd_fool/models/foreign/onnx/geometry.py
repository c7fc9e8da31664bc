"""Where the windows of a convolution or a pool stand."""

import dataclasses
from collections.abc import Sequence

from qd_fool.models.foreign.onnx.operator import Call, Unfit, check_size


@dataclasses.dataclass(frozen=True)
class Windows:
    """Windows along some sides; each field has one entry per side.

    Attributes:
      sizes: Places of a window.
      strides: Steps between windows.
      dilations: Steps between places.
      pads: Places before and behind the picture; for a pool that hangs over the border also those.
      counts: Number of windows.
    """

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    counts: tuple[int, ...]


def spread(size: int, dilation: int) -> int:
    """Places that a window covers, with the holes."""
    return (size - 1) * dilation + 1


def windows(call: Call, sides: Sequence[int], sizes: Sequence[int]) -> Windows:
    """The windows that a node's attributes describe.

    Args:
      call: The node, with `strides`, `dilations`, `pads`, `auto_pad` and `ceil_mode`.
      sides: Lengths of the picture's sides.
      sizes: Lengths of the window's sides.

    Raises:
      Unfit: Settings that no window has.
    """
    rank = len(sides)
    strides = tuple(call.setting("strides", (1,) * rank))
    dilations = tuple(call.setting("dilations", (1,) * rank))
    pads = tuple(call.setting("pads", (0,) * 2 * rank))
    sizes = tuple(sizes)
    lengths = {len(sizes), len(strides), len(dilations), len(pads) // 2}
    if lengths != {rank} or min(*sizes, *strides, *dilations) < 1 or min(pads) < 0:
        raise Unfit(f"windows of {sizes}, strides {strides}, dilations {dilations}, pads {pads}")
    if max(pads) > 2**16:
        raise Unfit(f"pads of {pads}")
    auto = call.setting("auto_pad", "NOTSET")
    ceil = bool(call.setting("ceil_mode", 0))
    made, counts = [], []
    for i, side in enumerate(sides):
        covered = spread(sizes[i], dilations[i])
        if auto.startswith("SAME"):
            count = -(-side // strides[i])
            total = max((count - 1) * strides[i] + covered - side, 0)
            small, large = total // 2, total - total // 2
            before, after = (small, large) if auto == "SAME_UPPER" else (large, small)
        else:
            before, after = (0, 0) if auto == "VALID" else (pads[i], pads[rank + i])
            room = side + before + after - covered
            count = (-(-room // strides[i]) if ceil else room // strides[i]) + 1
            if ceil and (count - 1) * strides[i] >= side + before:
                count -= 1  # a window must begin inside of the picture, or before it
        if count < 1:
            raise Unfit(f"a window of {covered} on a side of {side}")
        made.append((before, after))
        counts.append(count)
    check_size(counts)
    return Windows(sizes, strides, dilations, tuple(made), tuple(counts))
