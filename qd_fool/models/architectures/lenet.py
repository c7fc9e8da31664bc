"""Caffe's LeNet, NHWC.

Source: model/lenet/lenet_image_memory_data.prototxt of the original code. Unlike LeCun's LeNet, it
has no non-linearity after the convolutions. It has 431,080 parameters. The input is x = pixel / 256
without a mean, as in the data layer that is stored with the shipped weights. (The original
evaluator subtracts a mean, which costs 1.8 points of accuracy.)

The network is written in `flax.linen` rather than `flax.nnx`. This project passes parameters to
compiled functions as arguments, maps over networks (retraining), and differentiates with respect to
pictures. In linen a network *is* a pure function of a plain pytree, and there is no graph to split
and merge at each boundary. nnx makes state between calls easier, but there is none here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from jaxtyping import Array, Float, PyTree

from qd_fool.files import replacing
from qd_fool.models.name_map import Shapes, conv_kernel, dense_kernel, take_arrays, with_biases

SHAPES: Shapes = with_biases(
    {
        "conv1": (20, 1, 5, 5),
        "conv2": (50, 20, 5, 5),
        "ip1": (500, 800),
        "ip2": (10, 500),
    }
)
"""Arrays of a weights file, in the layout of Caffe and PyTorch: OIHW; ip1 reads (C, H, W)."""


class LeNet(nn.Module):
    """conv 20 - pool - conv 50 - pool - dense 500 - ReLU - dense `classes`.

    Attributes:
      classes: Number of classes: 10, or more if fooling images have a class of their own.
      for_training: Whether to compute the convolutions as matrix products over patches. XLA's CPU
        backend computes gradients with respect to the weights ten times faster in this form, and
        their bits do not depend on the number of cores.
    """

    classes: int = 10
    for_training: bool = False

    @nn.compact
    def __call__(self, x: Float[Array, "n 28 28 1"]) -> Float[Array, "n classes"]:
        """Map preprocessed images to logits."""

        def pool(x: Array) -> Array:
            if self.for_training:
                return _block_maximum(x)
            return _max_pool(x)

        def dense(features: int, name: str) -> nn.Module:
            if self.for_training:
                return _Product(features, name=name)
            return nn.Dense(features, kernel_init=_caffe_xavier(), name=name)

        def conv(features: int, name: str) -> nn.Module:
            if self.for_training:
                return _Product(features, side=5, name=name)
            return nn.Conv(
                features,
                (5, 5),
                padding="VALID",
                kernel_init=_caffe_xavier(),
                conv_general_dilated=_convolution,
                name=name,
            )

        x = pool(conv(20, "conv1")(x))
        x = pool(conv(50, "conv2")(x))
        x = nn.relu(dense(500, "ip1")(x.reshape(x.shape[0], -1)))
        return dense(self.classes, "ip2")(x)


class _Product(nn.Module):
    """A product over patches with the parameters of `nn.Conv` or `nn.Dense`, for training."""

    features: int
    side: int = 0

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (self.side, self.side, x.shape[-1]) if self.side else (x.shape[-1],)
        kernel = self.param("kernel", _caffe_xavier(), (*shape, self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        patches = _patches(x, self.side) if self.side else x[:, None]
        y = _product(patches, kernel.reshape(-1, self.features), bias)
        rows = x.shape[1] - self.side + 1
        return y.reshape(len(x), rows, -1, self.features) if self.side else y[:, 0]


@jax.custom_vjp
def _product(patches: Array, kernel: Array, bias: Array) -> Array:
    """Return `patches @ kernel + bias`, of shape `(n, places, features)`."""
    return patches @ kernel + bias[None, None]


def _product_backward(kept: tuple[Array, Array], slope: Array) -> tuple[Array, Array, Array]:
    """Sum gradients in an order of their own.

    XLA cuts one long sum into as many parts as a CPU has threads. Here the products are summed
    over the places of a picture, and pictures are added pair by pair, so the bits are the same on
    any number of cores.
    """
    patches, kernel = kept
    if patches.shape[1] == 1:
        of_kernel = patches[:, 0].T @ slope[:, 0]
    else:
        of_kernel = _fold(jnp.einsum("npk,npf->nkf", patches, slope))
    return slope @ kernel.T, of_kernel, _fold(slope.reshape(-1, slope.shape[-1]))


def _fold(terms: Array) -> Array:
    """Return the sum over the first axis: halves are added until one term is left."""
    while len(terms) > 1:
        half = len(terms) // 2
        pairs = terms[:half] + terms[half : 2 * half]
        terms = jnp.concatenate([pairs, terms[2 * half :]])
    return terms[0]


_product.defvjp(
    lambda patches, kernel, bias: (_product(patches, kernel, bias), (patches, kernel)),
    _product_backward,
)


def _patches(x: Array, side: int) -> Array:
    """Return the patches `(n, places, side * side * channels)` of pictures, NHWC."""
    rows, columns = x.shape[1] - side + 1, x.shape[2] - side + 1
    shifts = [x[:, i : i + rows, j : j + columns] for i in range(side) for j in range(side)]
    return jnp.concatenate(shifts, axis=-1).reshape(x.shape[0], rows * columns, -1)


def _patch_convolution(x: Array, kernel: Array) -> Array:
    """Compute a valid convolution of stride 1, NHWC and HWIO, as one product over patches."""
    n, height, width = x.shape[:3]
    side, features = kernel.shape[0], kernel.shape[-1]
    flat = _patches(x, side).reshape(-1, kernel[..., 0].size)
    y = flat @ kernel.reshape(-1, features)
    return y.reshape(n, height - side + 1, width - side + 1, features)


def _block_maximum(x: Array) -> Array:
    """Return the largest value of each 2x2 block; equal values share the gradient."""
    n, height, width, channels = x.shape
    return x.reshape(n, height // 2, 2, width // 2, 2, channels).max((2, 4))


# Convolution and pool run forward in XLA's form, and backward through the forms above: on CPU,
# XLA's own backward passes take several times as long (`benchmarks/ascent_speed.py`).
@jax.custom_vjp
def _valid_convolution(x: Array, kernel: Array) -> Array:
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _convolution(x: Array, kernel: Array, *_args: object, **_kwargs: object) -> Array:
    return _valid_convolution(x, kernel)


_valid_convolution.defvjp(
    lambda x, kernel: (_valid_convolution(x, kernel), (x, kernel)),
    lambda kept, slope: jax.vjp(_patch_convolution, *kept)[1](slope),
)


@jax.custom_vjp
def _max_pool(x: Array) -> Array:
    return nn.max_pool(x, (2, 2), (2, 2))


def _max_pool_backward(kept: tuple[Array, Array], slope: Array) -> tuple[Array]:
    """Pass the gradient to the largest value of each 2x2 block; equal values share it.

    Repeats and strided slices make this 8 times as fast.
    """
    x, largest = kept
    corners = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    equals = sum((corner == largest).astype(x.dtype) for corner in corners)
    repeated = (jnp.repeat(jnp.repeat(a, 2, axis=1), 2, axis=2) for a in (largest, slope / equals))
    top, share = repeated
    return (jnp.where(x == top, share, 0.0),)


def _max_pool_forward(x: Array) -> tuple[Array, tuple[Array, Array]]:
    largest = _max_pool(x)
    return largest, (x, largest)


_max_pool.defvjp(_max_pool_forward, _max_pool_backward)


def _caffe_xavier() -> nn.initializers.Initializer:
    """Return Caffe's "xavier" filler: uniform within sqrt(3 / fan_in)."""
    return nn.initializers.variance_scaling(1.0, "fan_in", "uniform")


def preprocess(images: Float[Array, "n 28 28 1"]) -> Float[Array, "n 28 28 1"]:
    """Return x = pixel / 256, for pixels in 0..255."""
    return images * (1 / 256)


def apply(params: PyTree[Array], x: Float[Array, "n 28 28 1"]) -> Float[Array, "n classes"]:
    """Map preprocessed images to logits; the parameters decide the number of classes."""
    return forward(LeNet(classes=params["params"]["ip2"]["bias"].shape[0]), params, x)


def forward(
    network: LeNet, params: PyTree[Array], x: Float[Array, "n 28 28 1"]
) -> Float[Array, "n classes"]:
    """Return `network.apply(...)` as an array: the declared type allows for mutable collections."""
    return cast(Array, network.apply(params, x))


def params_from_flat(flat: Mapping[str, np.ndarray], *, source: str) -> PyTree[Array]:
    """Return the network's parameters from arrays named and laid out as in `SHAPES`.

    Arrays may carry leading axes of length 1, as old Caffe files do (`1 x 1 x 500 x 800`). Files
    that older versions wrote of a retrained network have eleven rows in ip2; the last row is the
    class of fooling images.

    Args:
      flat: Arrays by name. Names that `SHAPES` lacks, such as Caffe's data layers, are ignored.
      source: Name of the file, for errors.

    Raises:
      UserError: An array is missing, or has the wrong shape.
    """
    shapes = SHAPES
    if "ip2.weight" in flat and flat["ip2.weight"].shape[-2:] == (11, 500):
        shapes = {**SHAPES, "ip2.weight": (11, 500), "ip2.bias": (11,)}
    arrays = take_arrays(flat, shapes, model="lenet", source=source, only=False)
    # Dense layers here see (H, W, C); the file's ip1 was trained on (C, H, W).
    kernels = {
        "conv1": conv_kernel(arrays["conv1.weight"]),
        "conv2": conv_kernel(arrays["conv2.weight"]),
        "ip1": dense_kernel(arrays["ip1.weight"], maps=(50, 4, 4)),
        "ip2": dense_kernel(arrays["ip2.weight"]),
    }
    return {
        "params": {
            layer: {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(arrays[f"{layer}.bias"])}
            for layer, kernel in kernels.items()
        }
    }


def flat_from_params(params: PyTree[Array]) -> dict[str, np.ndarray]:
    """Return arrays named and laid out as in `SHAPES`, the inverse of `params_from_flat`."""
    layers = params["params"]
    kernels = {layer: np.asarray(layers[layer]["kernel"]) for layer in layers}
    ip1 = kernels["ip1"].reshape(4, 4, 50, 500).transpose(3, 2, 0, 1).reshape(500, 800)
    weights = {
        "conv1": kernels["conv1"].transpose(3, 2, 0, 1),
        "conv2": kernels["conv2"].transpose(3, 2, 0, 1),
        "ip1": ip1,
        "ip2": kernels["ip2"].T,
    }
    flat = {f"{layer}.weight": np.ascontiguousarray(w) for layer, w in weights.items()}
    return flat | {f"{layer}.bias": np.asarray(layers[layer]["bias"]) for layer in layers}


def save_lenet(path: Path, params: PyTree[Array]) -> None:
    """Write a LeNet of ten classes as safetensors, whole or not at all.

    Args:
      path: Where to write.
      params: Parameters of the network.
    """
    flat = {name: np.ascontiguousarray(a) for name, a in flat_from_params(params).items()}
    with replacing(path) as partial:
        safetensors.numpy.save_file(flat, partial)
