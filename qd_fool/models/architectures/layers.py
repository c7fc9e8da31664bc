"""Layers that the ImageNet networks share, NHWC, in the form that each backend runs fastest.

XLA's CPU backend is good at matrix products and fair at plain convolutions, but several times
slower at grouped and depthwise convolutions. So on CPU these are written as products and as sums of
shifted pictures, and wide convolutions in Winograd's form. Elsewhere they stay as they are, and the
tests compare both. Pools are maxima of strided slices everywhere, which XLA fuses with the layers
around them (`benchmarks/imagenet_forward.py`).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from qd_fool.models.architectures.winograd import LEAST_CHANNELS, winograd

EXACT = lax.Precision.HIGHEST
"""Precision of products. Otherwise accelerators would round float32 to TF32 or bfloat16."""

Padding = tuple[tuple[int, int], tuple[int, int]]


def pad_evenly(pad: int) -> Padding:
    """Return the same padding on all sides, as in Caffe and PyTorch."""
    return ((pad, pad), (pad, pad))


def pad_same(height: int, width: int, *, size: int, stride: int) -> Padding:
    """Return TensorFlow's "SAME" padding: ceil(side / stride) outputs.

    If the padding is odd, the extra pixel is below or to the right.

    Args:
      height: Height of the input.
      width: Width of the input.
      size: Side of the kernel.
      stride: Stride of the convolution.
    """

    def along(side: int) -> tuple[int, int]:
        total = max((-(-side // stride) - 1) * stride + size - side, 0)
        return total // 2, total - total // 2

    return along(height), along(width)


def convolve(
    x: Float[Array, "n height width channels"],
    kernel: Float[Array, "size size per_group features"],
    *,
    stride: int = 1,
    padding: Padding = ((0, 0), (0, 0)),
    groups: int = 1,
) -> Float[Array, "n rows columns features"]:
    """Convolve pictures: a cross-correlation, as in all frameworks.

    Args:
      x: Pictures.
      kernel: Kernel, whose third axis has the channels of one group.
      stride: Stride along both axes.
      padding: Padding of rows and columns.
      groups: Number of groups that split channels and features evenly.
    """
    # One channel per group.
    size = kernel.shape[0]
    if groups == x.shape[-1] and kernel.shape[-1] == groups and groups > 1:
        return depthwise(x, kernel, stride=stride, padding=padding)

    # Several channels per group: on CPU, one convolution per group.
    if groups > 1:

        def by_hand(x: Array, kernel: Array) -> Array:
            parts = zip(
                jnp.split(x, groups, axis=-1), jnp.split(kernel, groups, axis=-1), strict=True
            )
            done = [convolve(a, b, stride=stride, padding=padding) for a, b in parts]
            return jnp.concatenate(done, axis=-1)

        def as_one(x: Array, kernel: Array) -> Array:
            return _xla_convolution(x, kernel, stride=stride, padding=padding, groups=groups)

        return lax.platform_dependent(x, kernel, cpu=by_hand, default=as_one)

    # A 1x1 convolution is a matrix product.
    if size == 1 and stride == 1 and padding == pad_evenly(0):
        return jnp.einsum("nhwc,cf->nhwf", x, kernel[0, 0], precision=EXACT)

    # Many channels: Winograd's form on CPU.
    wide = x.shape[-1] >= LEAST_CHANNELS and x.dtype == jnp.float32
    if wide and stride == 1 and size in (3, 5):
        return lax.platform_dependent(
            x,
            kernel,
            cpu=lambda x, kernel: winograd(x, kernel, padding=padding),
            default=lambda x, kernel: _xla_convolution(x, kernel, stride=1, padding=padding),
        )
    return _xla_convolution(x, kernel, stride=stride, padding=padding)


def _xla_convolution(
    x: Array, kernel: Array, *, stride: int, padding: Padding, groups: int = 1
) -> Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
        precision=EXACT,
    )


def depthwise(
    x: Float[Array, "n height width channels"],
    kernel: Float[Array, "size size 1 channels"],
    *,
    stride: int,
    padding: Padding,
) -> Float[Array, "n rows columns channels"]:
    """Convolve each channel with a kernel of its own, in the form that suits the backend."""

    def as_one(x: Array, kernel: Array) -> Array:
        return _xla_convolution(x, kernel, stride=stride, padding=padding, groups=x.shape[-1])

    def by_shifts(x: Array, kernel: Array) -> Array:
        return depthwise_by_shifts(x, kernel, stride=stride, padding=padding)

    return lax.platform_dependent(x, kernel, cpu=by_shifts, default=as_one)


def depthwise_by_shifts(
    x: Float[Array, "n height width channels"],
    kernel: Float[Array, "size size 1 channels"],
    *,
    stride: int,
    padding: Padding,
) -> Float[Array, "n rows columns channels"]:
    """Convolve each channel: sum the shifted pictures times the kernel's weights."""
    size = kernel.shape[0]
    # The barrier keeps the padding out of the loop, where it would cost a test per pixel and shift.
    x = lax.optimization_barrier(jnp.pad(x, ((0, 0), *padding, (0, 0))))
    rows, columns = ((side - size) // stride + 1 for side in x.shape[1:3])
    total: Any = 0.0
    for i in range(size):
        for j in range(size):
            shifted = _strided(_strided(x, 1, i, rows, stride), 2, j, columns, stride)
            total = total + shifted * kernel[i, j][None, None]
    return total


def _strided(x: Array, axis: int, start: int, count: int, stride: int) -> Array:
    return lax.slice_in_dim(x, start, start + stride * (count - 1) + 1, stride, axis)


def max_pool(
    x: Float[Array, "n height width channels"], *, size: int = 3, stride: int = 2, ceil: bool
) -> Float[Array, "n rows columns channels"]:
    """Return the largest value of each window, without padding.

    Args:
      x: Pictures.
      size: Side of a window.
      stride: Distance from one window to the next.
      ceil: Whether a last window that reaches over the border counts, clipped (Caffe). Otherwise it
        is left out (PyTorch's default).
    """

    def count(side: int) -> int:
        room = side - size
        return (-(-room // stride) if ceil else room // stride) + 1

    # A window that reaches over the border sees -inf there, which is never the largest value.
    rows, columns = count(x.shape[1]), count(x.shape[2])
    sides = zip((rows, columns), x.shape[1:3], strict=True)
    over = [(n - 1) * stride + size - side for n, side in sides]
    if max(over) > 0:
        ends = [(0, max(o, 0)) for o in over]
        x = jnp.pad(x, ((0, 0), *ends, (0, 0)), constant_values=-jnp.inf)

    # First down, then across: 2 * size slices instead of size * size.
    for axis, n in ((1, rows), (2, columns)):
        slices = [_strided(x, axis, i, n, stride) for i in range(size)]
        x = slices[0]
        for other in slices[1:]:
            x = jnp.maximum(x, other)
    return x


def local_response_norm(
    x: Float[Array, "n height width channels"],
    *,
    size: int = 5,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
) -> Float[Array, "n height width channels"]:
    """Return x * (k + alpha / size * s)^-beta, where s sums the squares of the channels around.

    As in Caffe, alpha is divided by the size, and channels beyond the first and last count as zero
    (caffe/src/caffe/layers/lrn_layer.cpp:127,157).

    Args:
      x: Pictures.
      size: Number of channels in the sum.
      alpha: Factor of the sum.
      beta: Exponent.
      k: Constant.
    """
    half = size // 2
    squares = jnp.pad(x * x, ((0, 0), (0, 0), (0, 0), (half, half)))
    channels = x.shape[-1]
    total = sum(lax.slice_in_dim(squares, i, i + channels, axis=3) for i in range(size))
    return x * (k + (alpha / size) * total) ** -beta


class Conv(nn.Module):
    """A convolution with a kernel `(size, size, channels / groups, features)` and a bias.

    Attributes:
      features: Channels of the output.
      size: Side of the kernel.
      stride: Distance from one place of the kernel to the next.
      padding: Pixels on each side, or "SAME".
      groups: Number of groups: 1, or a divisor of channels and features.
    """

    features: int
    size: int
    stride: int = 1
    padding: int | str = 0
    groups: int = 1

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map pictures `(n, height, width, channels)` to `(n, rows, columns, features)`."""
        shape = (self.size, self.size, x.shape[-1] // self.groups, self.features)
        kernel = self.param("kernel", nn.initializers.he_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        if isinstance(self.padding, int):
            padding = pad_evenly(self.padding)
        else:
            padding = pad_same(*x.shape[1:3], size=self.size, stride=self.stride)
        return (
            convolve(x, kernel, stride=self.stride, padding=padding, groups=self.groups)
            + bias[None, None, None]
        )


class Dense(nn.Module):
    """A matrix product with a kernel `(inputs, features)`, and a bias.

    Attributes:
      features: Number of outputs.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map inputs `(n, inputs)` to outputs `(n, features)`."""
        kernel = self.param("kernel", nn.initializers.he_normal(), (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        return jnp.matmul(x, kernel, precision=EXACT) + bias[None]


def relu6(x: Array) -> Array:
    """Clip values to [0, 6]."""
    return jax.nn.relu6(x)
