"""SqueezeNet 1.0 and 1.1, NHWC.

Sources: Iandola et al. (2016), "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters";
forresti/SqueezeNet (Caffe) and torchvision/models/squeezenet.py. Pools reach over the border. The
classifier is a 1x1 convolution, ReLU and the average over places. Caffe pads this convolution by
one pixel, torchvision does not.
"""

from collections.abc import Mapping
from typing import cast

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from qd_fool.errors import UserError
from qd_fool.models.architectures.layers import Conv, max_pool
from qd_fool.models.name_map import Shapes, conv_kernel, take_arrays

FIRES = (16, 16, 32, 32, 48, 48, 64, 64)
"""Squeezed channels of fire2 to fire9. Two expansions of four times as many channels follow."""

POOLS = {"1.0": (4, 8), "1.1": (3, 5)}
"""Fire modules that are followed by a pool."""

TORCHVISION_INDEX = {"1.0": (3, 4, 5, 7, 8, 9, 10, 12), "1.1": (3, 4, 6, 7, 9, 10, 11, 12)}
"""Indices of fire2 to fire9 in torchvision's `features`."""

PARTS = {"squeeze": "squeeze1x1", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}
"""Parts of a fire module, with their names in Caffe's prototxt."""


class SqueezeNet(nn.Module):
    """conv1, eight fire modules, conv10, average.

    Attributes:
      version: Version "1.0" or "1.1".
      pad_last: Pixels of padding around conv10.
      classes: Number of classes: 1000, or more if fooling images have a class of their own.
    """

    version: str
    pad_last: int = 0
    classes: int = 1000

    @nn.compact
    def __call__(self, x: Float[Array, "n size size 3"]) -> Float[Array, "n classes"]:
        """Map preprocessed images to logits."""
        first = (96, 7) if self.version == "1.0" else (64, 3)
        # ReLU after the pool gives the same numbers for a quarter of the work.
        x = nn.relu(max_pool(Conv(*first, stride=2, name="conv1")(x), ceil=True))
        for i, squeezed in enumerate(FIRES):
            name = f"fire{i + 2}"
            x = nn.relu(Conv(squeezed, 1, name=f"{name}/squeeze")(x))
            one = Conv(4 * squeezed, 1, name=f"{name}/expand1x1")(x)
            three = Conv(4 * squeezed, 3, padding=1, name=f"{name}/expand3x3")(x)
            x = nn.relu(jnp.concatenate([one, three], axis=-1))
            if i + 2 in POOLS[self.version]:
                x = max_pool(x, ceil=True)
        x = nn.relu(Conv(self.classes, 1, padding=self.pad_last, name="conv10")(x))
        return x.mean((1, 2))


def shapes(version: str) -> Shapes:
    """Return the arrays of a version, named as `fire2/squeeze.weight`, OIHW."""
    first = (96, 3, 7, 7) if version == "1.0" else (64, 3, 3, 3)
    kernels: dict[str, tuple[int, ...]] = {"conv1": first}
    channels = first[0]
    for i, squeezed in enumerate(FIRES):
        name, wide = f"fire{i + 2}", 4 * squeezed
        kernels[f"{name}/squeeze"] = (squeezed, channels, 1, 1)
        kernels[f"{name}/expand1x1"] = (wide, squeezed, 1, 1)
        kernels[f"{name}/expand3x3"] = (wide, squeezed, 3, 3)
        channels = 2 * wide
    kernels["conv10"] = (1000, channels, 1, 1)
    return {
        f"{name}.{part}": shape if part == "weight" else shape[:1]
        for name, shape in kernels.items()
        for part in ("weight", "bias")
    }


def _spellings(version: str) -> list[dict[str, str]]:
    """Return the names of this module, of Caffe and of torchvision."""
    caffe, torchvision = {}, {"conv1": "features.0", "conv10": "classifier.1"}
    for i, index in enumerate(TORCHVISION_INDEX[version]):
        for part, caffe_part in PARTS.items():
            caffe[f"fire{i + 2}/{part}"] = f"fire{i + 2}/{caffe_part}"
            torchvision[f"fire{i + 2}/{part}"] = f"features.{index}.{part}"
    return [
        {f"{a}.{end}": f"{b}.{end}" for a, b in names.items() for end in ("weight", "bias")}
        for names in ({}, caffe, torchvision)
    ]


def apply(
    params: PyTree[Array], x: Float[Array, "n size size 3"], *, version: str, caffe: bool
) -> Float[Array, "n classes"]:
    """Map preprocessed images to logits; the parameters decide the number of classes.

    Args:
      params: Parameters `{"params": ...}`, and for Caffe's weights `"mean"`, `(3,)` or
        `(size, size, 3)` BGR, which is subtracted here.
      x: Images; for torchvision `(n, 224, 224, 3)` normalised RGB, for Caffe `(n, 227, 227, 3)`
        BGR in 0..255.
      version: Version "1.0" or "1.1".
      caffe: Whether the weights were trained by Caffe.
    """
    if caffe:
        mean = params["mean"]
        x = x - jnp.expand_dims(mean, tuple(range(4 - mean.ndim)))
    classes = params["params"]["conv10"]["bias"].shape[0]
    module = SqueezeNet(version, pad_last=1 if caffe else 0, classes=classes)
    return cast(Array, module.apply({"params": params["params"]}, x))


def params_from_flat(
    flat: Mapping[str, np.ndarray],
    *,
    source: str,
    version: str,
    caffe: bool,
    mean: np.ndarray | None = None,
) -> PyTree[Array]:
    """Return the network's parameters from the arrays of a weights file.

    Args:
      flat: Arrays by name, in one of three spellings: `fire2/squeeze.weight`,
        `fire2/squeeze1x1.weight` (Caffe) or `features.3.squeeze.weight` (torchvision).
      source: Name of the file, for errors.
      version: Version "1.0" or "1.1".
      caffe: Whether the weights were trained by Caffe.
      mean: Mean in BGR, `(3,)` or `(size, size, 3)`. Caffe's weights need one.

    Raises:
      UserError: An array is missing, surplus or has the wrong shape.
    """
    wanted = shapes(version)
    arrays = take_arrays(
        flat,
        wanted,
        model=f"squeezenet{version}",
        source=source,
        spellings=_spellings(version),
    )
    layers = [name.removesuffix(".weight") for name in wanted if name.endswith(".weight")]
    params: dict[str, PyTree[Array]] = {
        "params": {
            name: {
                "kernel": jnp.asarray(conv_kernel(arrays[f"{name}.weight"])),
                "bias": jnp.asarray(arrays[f"{name}.bias"]),
            }
            for name in layers
        }
    }
    if caffe:
        if mean is None:
            raise UserError(f"{source}: squeezenet{version}-caffe needs a mean to subtract")
        params["mean"] = jnp.asarray(mean, jnp.float32)
    return params
