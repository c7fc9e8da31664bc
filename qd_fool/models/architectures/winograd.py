"""Convolutions of stride 1 with fewer multiplications: Winograd's F(2x2, 3x3) and F(2x2, 5x5).

Source: Lavin & Gray (2016), "Fast Algorithms for Convolutional Neural Networks". Each tile of 2x2
outputs costs 16 products per pair of channels instead of 36 (3x3), or 36 instead of 100 (5x5). The
price is additions before and after, and one or two more bits of rounding. On CPU the products take
most of the time of a convolution, so this form is faster if there are enough channels.
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

LEAST_CHANNELS = 32
"""With fewer channels, the additions cost more than the products that they save."""

_TILE = 2
"""Side of a tile of outputs."""


# Matrices of the transforms along one axis, by size of the kernel. INPUT transforms a tile of the
# input, KERNEL transforms the kernel, and OUTPUT makes two outputs from the products. They follow
# from interpolation at 0, 1, -1 and infinity (3x3), and at 0, 1, -1, 2, -2 and infinity (5x5).
INPUT = {
    3: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    5: (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
}


KERNEL = {
    3: ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
    5: (
        (1 / 4, 0, 0, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6, 1 / 3, 2 / 3),
        (1 / 24, -1 / 12, 1 / 6, -1 / 3, 2 / 3),
        (0, 0, 0, 0, 1),
    ),
}


OUTPUT = {
    3: ((1, 1, 1, 0), (0, 1, -1, -1)),
    5: ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 1)),
}


def winograd(
    x: Float[Array, "n height width channels"],
    kernel: Float[Array, "size size channels features"],
    *,
    padding: tuple[tuple[int, int], tuple[int, int]],
) -> Float[Array, "n rows columns features"]:
    """Convolve with stride 1 and a kernel of 3x3 or 5x5.

    The result equals that of `layers.convolve` but for rounding.

    Args:
      x: Pictures.
      kernel: Kernel.
      padding: Padding of rows and columns.
    """
    # 1. Pad the pictures to whole tiles. Barriers here and below keep XLA from fusing the steps.
    n, height, width, channels = x.shape
    size, features = kernel.shape[0], kernel.shape[-1]
    window = _TILE + size - 1
    rows, columns = (
        side + sum(pad) - size + 1 for side, pad in zip((height, width), padding, strict=True)
    )
    down, across = -(-rows // _TILE), -(-columns // _TILE)
    # The last tile may reach over the border: the surplus is cut off at the end.
    over = [_TILE * tiles - count for tiles, count in ((down, rows), (across, columns))]
    ends = [(a, b + extra) for (a, b), extra in zip(padding, over, strict=True)]
    x = lax.optimization_barrier(jnp.pad(x, ((0, 0), *ends, (0, 0))))

    # 2. Transform the inputs of all tiles, first down, then across. The result is one matrix of
    # tiles and channels per place in a transformed tile.
    def strided(a: Array, axis: int, start: int, count: int) -> Array:
        return lax.slice_in_dim(a, start, start + _TILE * (count - 1) + 1, _TILE, axis)

    seen = []
    for row in _combine(INPUT[size], [strided(x, 1, i, down) for i in range(window)]):
        seen += _combine(INPUT[size], [strided(row, 2, j, across) for j in range(window)])
    inputs = jnp.stack(seen).reshape(window**2, n * down * across, channels)

    # 3. Transform the kernel in the same way.
    through = jnp.asarray(KERNEL[size], x.dtype)
    kernels = jnp.einsum("ai,ijcf,bj->abcf", through, kernel, through, precision="highest")
    kernels = lax.optimization_barrier(kernels.reshape(window**2, channels, features))

    # 4. Multiply: one matrix product per place.
    products = jnp.einsum("tpc,tcf->tpf", inputs, kernels, precision="highest")
    products = lax.optimization_barrier(products).reshape(window, window, n, down, across, features)

    # 5. Transform the products to the 2x2 outputs of each tile, and put the tiles together.
    outputs = [
        _combine(OUTPUT[size], [half[j] for j in range(window)])
        for half in _combine(OUTPUT[size], [products[i] for i in range(window)])
    ]
    tiles = jnp.stack([jnp.stack(pair, axis=3) for pair in outputs], axis=2)
    return tiles.reshape(n, _TILE * down, _TILE * across, features)[:, :rows, :columns]


def _combine(matrix: Sequence[Sequence[int | float]], parts: list[Array]) -> list[Array]:
    """Return each row's weighted sum of the parts, without products by 0, 1 and -1."""

    def term(weight: int | float, part: Array) -> Array:
        return part if weight == 1 else -part if weight == -1 else part * np.float32(weight)

    return [
        functools.reduce(
            jnp.add, [term(w, part) for w, part in zip(row, parts, strict=True) if w != 0]
        )
        for row in matrix
    ]
