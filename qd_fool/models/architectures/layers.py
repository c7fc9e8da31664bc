"""Layers that the ImageNet networks share, NHWC, in the form that each backend runs fastest.

XLA's CPU backend has one good primitive, the matrix product, and one fair one, the plain
convolution; grouped and depthwise convolutions are slow there by factors. So on CPU those are
written as products and as sums of shifted pictures, and wide convolutions in Winograd's form;
elsewhere they stay what they are, and the tests compare both. Pools are maxima of strided slices
everywhere, which XLA fuses with what stands around them (`benchmarks/imagenet_forward.py`).
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from qd_fool.models.architectures.winograd import LEAST_CHANNELS, winograd

EXACT = lax.Precision.HIGHEST
"""Accelerators would round float32 products to TF32 or bfloat16; a network is what it was."""


Padding = tuple[tuple[int, int], tuple[int, int]]


def pad_evenly(pad: int) -> Padding:
    """The same on all sides (Caffe, PyTorch)."""
    return ((pad, pad), (pad, pad))


def pad_same(height: int, width: int, *, size: int, stride: int) -> Padding:
    """TensorFlow's "SAME": ceil(side / stride) outputs, the odd pixel below and to the right."""

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
    """Cross-correlation, as all frameworks mean it; `groups` split channels and features evenly."""
    size = kernel.shape[0]
    if groups == x.shape[-1] and kernel.shape[-1] == groups and groups > 1:
        return depthwise(x, kernel, stride=stride, padding=padding)
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
    if size == 1 and stride == 1 and padding == pad_evenly(0):
        return jnp.einsum("nhwc,cf->nhwf", x, kernel[0, 0], precision=EXACT)
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
    """A convolution of each channel by itself."""

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
    """The same as a sum, over the kernel's places, of the shifted picture times its weights."""
    size = kernel.shape[0]
    # The barrier keeps the padding out of the loop, where it would be a test a pixel and place.
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
    """Largest value a window, without padding.

    Args:
      x: pictures.
      size: of the window.
      stride: between windows.
      ceil: whether a last window that hangs over the border counts, clipped (Caffe); else it is
        left out (PyTorch's default).
    """

    def count(side: int) -> int:
        room = side - size
        return (-(-room // stride) if ceil else room // stride) + 1

    rows, columns = count(x.shape[1]), count(x.shape[2])
    sides = zip((rows, columns), x.shape[1:3], strict=True)
    over = [(n - 1) * stride + size - side for n, side in sides]
    if max(over) > 0:
        ends = [(0, max(o, 0)) for o in over]
        x = jnp.pad(x, ((0, 0), *ends, (0, 0)), constant_values=-jnp.inf)
    # Down first, then across: 2 * size slices instead of size * size.
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
    """X (k + alpha / size * the sum of squares over `size` channels around)^-beta.

    alpha is divided by the size, and channels beyond the first and last count as zero, as in Caffe
    (caffe/src/caffe/layers/lrn_layer.cpp:127,157).
    """
    half = size // 2
    squares = jnp.pad(x * x, ((0, 0), (0, 0), (0, 0), (half, half)))
    channels = x.shape[-1]
    total = sum(lax.slice_in_dim(squares, i, i + channels, axis=3) for i in range(size))
    return x * (k + (alpha / size) * total) ** -beta


class Conv(nn.Module):
    """A convolution with its kernel `(size, size, channels / groups, features)` and bias.

    Attributes:
      features: channels of the output.
      size: side of the kernel.
      stride: between places.
      padding: pixels on each side, or "SAME".
      groups: 1, or a divisor of channels and features.
    """

    features: int
    size: int
    stride: int = 1
    padding: int | str = 0
    groups: int = 1

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Pictures `(n, height, width, channels)` to maps `(n, rows, columns, features)`."""
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
    """A matrix product with its kernel `(inputs, features)`, and bias.

    Attributes:
      features: numbers out.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """`(n, inputs)` to `(n, features)`."""
        kernel = self.param("kernel", nn.initializers.he_normal(), (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        return jnp.matmul(x, kernel, precision=EXACT) + bias[None]


def relu6(x: Array) -> Array:
    """0 below, 6 above."""
    return jax.nn.relu6(x)
