"""The ImageNet networks in PyTorch, from other projects, as references for accuracy and speed.

Nothing here comes from qd_fool. SqueezeNet and AlexNet are torchvision's classes, EfficientNet-Lite
is the package `efficientnet-lite-pytorch`. Needs `torch torchvision efficientnet-lite-pytorch`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torchvision
from torch import nn


class Net(NamedTuple):
    """Sizes and input of a network; the input is `(RGB - mean) / std`, pixels from 0 to 255."""

    input: int  # side of the network's input in pixels: the centre of ...
    picture: int  # ... a picture of this short side
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    caffe: bool = False  # BGR after the mean


_CAFFE = ((123.0, 117.0, 104.0), (1.0, 1.0, 1.0), True)
_TORCHVISION = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_LITE = ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))

NETS = {
    "squeezenet1.0": Net(224, 256, *_TORCHVISION),
    "squeezenet1.0-caffe": Net(227, 256, *_CAFFE),
    "squeezenet1.1": Net(224, 256, *_TORCHVISION),
    "squeezenet1.1-caffe": Net(227, 256, *_CAFFE),
    "alexnet": Net(224, 256, *_TORCHVISION),
    "efficientnet-lite0": Net(224, 256, *_LITE),
    "efficientnet-lite1": Net(240, 272, *_LITE),
    "efficientnet-lite2": Net(260, 292, *_LITE),
}


def preprocess(pictures: np.ndarray, *, net: Net) -> torch.Tensor:
    """Cut the centre out of pictures and scale it as the network was trained.

    Args:
        pictures: `(n, height, width, 3)` uint8 RGB, no side below `net.input`.
        net: Network whose input to make.

    Returns:
        `(n, 3, net.input, net.input)` float32.
    """
    top, left = ((side - net.input) // 2 for side in pictures.shape[1:3])
    crop = pictures[:, top : top + net.input, left : left + net.input]
    x = torch.from_numpy(np.ascontiguousarray(crop.transpose(0, 3, 1, 2))).float()
    if net.std[0] < 1:  # torchvision's: mean and deviation of pixels from 0 to 1
        x = x / 255
    x = (x - torch.tensor(net.mean).view(3, 1, 1)) / torch.tensor(net.std).view(3, 1, 1)
    return x.flip(1) if net.caffe else x


def build(
    name: str, weights: Path | None = None
) -> tuple[nn.Module, int, Callable[[np.ndarray], torch.Tensor]]:
    """A network, ready to score pictures.

    Args:
        name: Name of a network in `NETS`.
        weights: A state dict of PyTorch (`.pth`, both formats) or, for SqueezeNet, an `.npz` with
            Caffe's names (`conv1`, `fire2/squeeze` to `fire9/expand3x3`, `conv10`) and OIHW
            kernels. None: PyTorch's own random weights, seed 0.

    Returns:
        The module in eval mode, float32, `(n, 3, size, size)` to logits `(n, 1000)`; `size`; and
        the function from pictures `(n, height, width, 3)` uint8 RGB to its input.

    Raises:
        KeyError: The name is unknown.
        RuntimeError: The weights are those of another network.
    """
    net = NETS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = _module(name)
    if weights is not None:
        if weights.suffix == ".npz":
            with np.load(weights) as arrays:
                state = _caffe_names(module, arrays)
        else:
            state = torch.load(weights, map_location="cpu", weights_only=True)
        module.load_state_dict(state)
    return module.eval(), net.input, lambda pictures: preprocess(pictures, net=net)


def _module(name: str) -> nn.Module:
    if name.startswith("efficientnet"):
        from efficientnet_lite_pytorch import EfficientNet

        return EfficientNet.from_name(name)
    if name == "alexnet":
        return torchvision.models.alexnet(weights=None)
    version, _, caffe = name.removeprefix("squeezenet").partition("-")
    module = {"1.0": torchvision.models.squeezenet1_0, "1.1": torchvision.models.squeezenet1_1}[
        version
    ](weights=None)
    if caffe:
        module.classifier[1].padding = (1, 1)  # Caffe's conv10 pads its 1x1 kernel
    return module


def _caffe_names(module: nn.Module, arrays: Mapping[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Caffe's names of SqueezeNet's layers to torchvision's, which numbers pools as well."""
    names = {"conv1": "features.0", "conv10": "classifier.1"}
    fires = [k for k, v in module.features.named_children() if hasattr(v, "squeeze")]
    for number, place in enumerate(fires, start=2):
        for part in ("squeeze", "expand1x1", "expand3x3"):
            names[f"fire{number}/{part}"] = f"features.{place}.{part}"
    state = {}
    for key in arrays:
        layer, _, kind = key.rpartition(".")
        state[f"{names[layer]}.{kind}"] = torch.from_numpy(arrays[key].astype(np.float32))
    return state
