"""Make tests/fixtures anew, with PyTorch: `make oracle`. CI only reads what this wrote."""

from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
from torch.nn import functional as F

HERE = Path(__file__).parent
WEIGHTS = HERE.parent / "qd_fool" / "models" / "weights" / "lenet.safetensors"


def lenet(flat: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Caffe's LeNet, NCHW, from its prototxt."""
    x = F.max_pool2d(F.conv2d(x, flat["conv1.weight"], flat["conv1.bias"]), 2)
    x = F.max_pool2d(F.conv2d(x, flat["conv2.weight"], flat["conv2.bias"]), 2)
    x = F.relu(F.linear(x.flatten(1), flat["ip1.weight"], flat["ip1.bias"]))
    return F.linear(x, flat["ip2.weight"], flat["ip2.bias"])


def main() -> None:
    """Noise, flat pictures and ramps: both ends of the range, and the middle."""
    images = np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), dtype=np.uint8)
    images[5], images[6] = 0, 255
    images[7, :, :, 0] = np.arange(28)[:, None] * 9
    flat = {k: torch.from_numpy(v) for k, v in safetensors.numpy.load_file(WEIGHTS).items()}
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)) / 256
    with torch.no_grad():
        logits = lenet(flat, x).numpy()
    path = HERE / "fixtures" / "lenet_torch.npz"
    np.savez_compressed(path, images=images, logits=logits, torch=np.array(torch.__version__))
    print(f"wrote {path.name}, PyTorch {torch.__version__}")


if __name__ == "__main__":
    main()
