"""The AlexNet family, NHWC: torchvision's, BVLC AlexNet, and CaffeNet, which the paper fooled.

Sources: torchvision/models/alexnet.py ("One weird trick", Krizhevsky 2014); for Caffe's two
networks, the prototxts in BVLC/caffe models/bvlc_alexnet and models/bvlc_reference_caffenet; the
second is also in the original code, model/imagenet_deploy_image_memory_data.prototxt:18-223. BVLC
AlexNet normalises before it pools, CaffeNet pools first. Dropout is left out, because it is the
identity in inference.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PyTree

from qd_fool.devices.chunks import map_chunks
from qd_fool.errors import UserError
from qd_fool.models.architectures.layers import Conv, Dense, local_response_norm, max_pool
from qd_fool.models.name_map import Shapes, conv_kernel, dense_kernel, take_arrays, with_biases

CPU_CHUNK = 4
"""Pictures that go through the convolutions at once on CPU, where small batches stay in the cache.
The dense layers take the whole chunk, so that their 235 MB of weights are read once per chunk."""

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
TORCHVISION_LAYERS = (
    *(f"features.{i}" for i in (0, 3, 6, 8, 10)),
    *(f"classifier.{i}" for i in (1, 4, 6)),
)


def _shapes(names: Sequence[str], *convolutions: tuple[int, ...]) -> Shapes:
    """Return the arrays of a variant: the dense layers are the same in both."""
    dense = ((4096, 9216), (4096, 4096), (1000, 4096))
    return with_biases(dict(zip(names, (*convolutions, *dense), strict=True)))


TORCHVISION_SHAPES = _shapes(
    TORCHVISION_LAYERS,
    (64, 3, 11, 11), (192, 64, 5, 5), (384, 192, 3, 3), (256, 384, 3, 3), (256, 256, 3, 3),
)  # fmt: skip

CAFFE_SHAPES = _shapes(
    LAYERS,
    (96, 3, 11, 11), (256, 48, 5, 5), (384, 256, 3, 3), (384, 192, 3, 3), (256, 192, 3, 3),
)  # fmt: skip


class Features(nn.Module):
    """The convolutions: pictures to 6 x 6 x 256 maps.

    Attributes:
      variant: "torchvision", "bvlc" (norm, then pool) or "caffenet" (pool, then norm).
    """

    variant: str

    @nn.compact
    def __call__(self, x: Float[Array, "n size size 3"]) -> Float[Array, "n 9216"]:
        """Map preprocessed images to features in (height, width, channel) order."""
        caffe = self.variant != "torchvision"

        def settle(x: Array) -> Array:
            x = nn.relu(x)
            if self.variant == "bvlc":
                return max_pool(local_response_norm(x), ceil=True)
            x = max_pool(x, ceil=caffe)
            return local_response_norm(x) if caffe else x

        widths = (96, 256, 384, 384, 256) if caffe else (64, 192, 384, 256, 256)
        groups = 2 if caffe else 1
        pad = 0 if caffe else 2
        x = settle(Conv(widths[0], 11, stride=4, padding=pad, name="conv1")(x))
        x = settle(Conv(widths[1], 5, padding=2, groups=groups, name="conv2")(x))
        x = nn.relu(Conv(widths[2], 3, padding=1, name="conv3")(x))
        x = nn.relu(Conv(widths[3], 3, padding=1, groups=groups, name="conv4")(x))
        x = nn.relu(Conv(widths[4], 3, padding=1, groups=groups, name="conv5")(x))
        return max_pool(x, ceil=caffe).reshape(x.shape[0], -1)


class Classifier(nn.Module):
    """The dense layers: maps to logits.

    Attributes:
      classes: Number of classes: 1000, or more if fooling images have a class of their own.
    """

    classes: int = 1000

    @nn.compact
    def __call__(self, x: Float[Array, "n 9216"]) -> Float[Array, "n classes"]:
        """Map features to logits."""
        x = nn.relu(Dense(4096, name="fc6")(x))
        x = nn.relu(Dense(4096, name="fc7")(x))
        return Dense(self.classes, name="fc8")(x)


def apply(
    params: PyTree[Array], x: Float[Array, "n size size 3"], *, variant: str
) -> Float[Array, "n classes"]:
    """Map preprocessed images to logits; the parameters decide the number of classes.

    Args:
      params: Parameters `{"features": ..., "classifier": ...}`, and for Caffe's variants `"mean"`,
        `(3,)` or `(size, size, 3)` BGR, which is subtracted here.
      x: Images; for torchvision `(n, 224, 224, 3)` normalised RGB, for Caffe `(n, 227, 227, 3)`
        BGR in 0..255.
      variant: Variant, as in `Features`.
    """
    if variant != "torchvision":
        mean = params["mean"]
        x = x - jnp.expand_dims(mean, tuple(range(4 - mean.ndim)))

    def features(x: Array) -> Array:
        return cast(Array, Features(variant).apply({"params": params["features"]}, x))

    maps = lax.platform_dependent(
        x,
        cpu=lambda x: map_chunks(features, x, chunk=min(CPU_CHUNK, x.shape[0])),
        default=features,
    )
    classifier = Classifier(classes=params["classifier"]["fc8"]["bias"].shape[0])
    return cast(Array, classifier.apply({"params": params["classifier"]}, maps))


def params_from_flat(
    flat: Mapping[str, np.ndarray],
    *,
    source: str,
    variant: str,
    mean: np.ndarray | None = None,
) -> PyTree[Array]:
    """Return the network's parameters from the arrays of a weights file.

    Args:
      flat: Arrays by torchvision's names (`features.0.weight`) or Caffe's (`conv1.weight`).
      source: Name of the file, for errors.
      variant: Variant, as in `Features`.
      mean: Mean in BGR, `(3,)` or `(size, size, 3)`. Caffe's variants need one.

    Raises:
      UserError: An array is missing, surplus or has the wrong shape.
    """
    caffe = variant != "torchvision"
    shapes = CAFFE_SHAPES if caffe else TORCHVISION_SHAPES
    model = {"bvlc": "bvlc-alexnet", "caffenet": "caffenet"}.get(variant, "alexnet")
    arrays = list(take_arrays(flat, shapes, model=model, source=source).values())
    named = dict(zip(LAYERS, zip(arrays[::2], arrays[1::2], strict=True), strict=True))

    def layer(name: str) -> dict[str, Array]:
        weight, bias = named[name]
        if name.startswith("conv"):
            kernel = conv_kernel(weight)
        else:
            kernel = dense_kernel(weight, maps=(256, 6, 6) if name == "fc6" else None)
        return {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}

    params = {
        "features": {name: layer(name) for name in LAYERS[:5]},
        "classifier": {name: layer(name) for name in LAYERS[5:]},
    }
    if caffe:
        if mean is None:
            raise UserError(f"{source}: {model} needs a mean to subtract")
        return params | {"mean": jnp.asarray(mean, jnp.float32)}
    return params
