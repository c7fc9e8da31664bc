"""Small modules of PyTorch with random weights. Importing this file needs PyTorch."""

import numpy as np
import torch

HEIGHT, WIDTH, CLASSES = 10, 12, 5


def allow_any_torchvision():
    """Let torchvision be imported beside a build of PyTorch that it was not compiled for.

    Its compiled part has operators that no classifier uses; one of them is asked for at the import.
    """
    try:
        torch.ops.torchvision.nms  # noqa: B018  raises if there is none
    except (AttributeError, RuntimeError):
        for name in ("nms", "qnms"):
            signature = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{name}", signature)


def small(*tail, channels=3, classes=CLASSES):
    """A convolution, a mean over the picture and a dense layer."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(channels, 8, 3, stride=2),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, classes),
        *tail,
    ).eval()


def pictures(n=3, channels=3):
    return np.random.default_rng(3).integers(0, 256, (n, HEIGHT, WIDTH, channels), dtype=np.uint8)
