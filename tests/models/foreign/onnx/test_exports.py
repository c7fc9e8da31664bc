"""PyTorch's exports against PyTorch: three small networks, and one of each family of timm's."""

import importlib.util
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from paths import BENCHMARKS
from quick import quick_jit

from qd_fool.models.foreign.onnx.load import from_onnx

pytest.importorskip("onnx", reason="ONNX files are read with the package onnx")
torch = pytest.importorskip("torch", reason="PyTorch is the oracle here")
nn = torch.nn


class Residual(nn.Module):
    """Convolutions in groups, normalised; a gate per channel; a pool that hangs over."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.SiLU())
        self.each = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.grouped = nn.Conv2d(16, 16, 3, padding=2, dilation=2, groups=2)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 16, 1), nn.Hardsigmoid())
        self.pool = nn.MaxPool2d(3, 2, padding=1, ceil_mode=True)
        self.head = nn.Linear(16, 7)

    def forward(self, x):
        x = self.stem(x)
        x = x + self.grouped(self.each(x)) * self.gate(x)
        return self.head(self.pool(x).mean((2, 3)))


class Attention(nn.Module):
    """Patches, a token for the class, attention, layer normalisation."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 16))
        self.places = nn.Parameter(torch.randn(1, 17, 16))
        self.norm, self.mix = nn.LayerNorm(16), nn.Linear(16, 48)
        self.head = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 7))

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        n, length, width = x.shape
        mixed = self.mix(self.norm(x)).reshape(n, length, 3, 4, width // 4).permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(*mixed.unbind(0))
        return self.head((x + seen.transpose(1, 2).reshape(n, length, width))[:, 0])


class Resized(nn.Module):
    """Channels last in between, another size, group normalisation, a mean of windows."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 8, (1, 5), padding=(0, 2))
        self.norm, self.groups = nn.LayerNorm(8), nn.GroupNorm(2, 8)
        self.pool = nn.AvgPool2d(3, 2, padding=1)
        self.head = nn.Linear(8 * 12 * 12, 7)

    def forward(self, x):
        x = self.norm(self.first(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        x = nn.functional.interpolate(x, size=(24, 24), mode="bilinear", align_corners=False)
        return self.head(self.pool(self.groups(x)).flatten(1))


def exported(module, folder, exporter, side, traced=3):
    path = folder / "network.onnx"
    x = torch.randn(traced, 3, side, side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if exporter == "dynamo":
            shapes = ({0: torch.export.Dim("batch", min=1, max=64)},)
            torch.onnx.export(module, (x,), path, dynamo=True, dynamic_shapes=shapes, verbose=False)
        else:
            axes = {"x": {0: "batch"}}
            torch.onnx.export(
                module, (x,), path, dynamo=False, input_names=["x"], dynamic_axes=axes
            )
    return path


def settled(module, side):
    """Statistics of batch normalisation from one batch."""
    for norm in (m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)):
        norm.momentum = 1.0
        norm.train()
    with torch.no_grad():
        module(torch.randn(8, 3, side, side))
    return module.eval()


def compare(module, path, side):
    """Logits within 1e-4 of the largest, gradient within 1e-3 of its largest."""
    x = torch.randn(2, 3, side, side, requires_grad=True)
    expected = module(x)
    weights = torch.linspace(-1, 1, expected.shape[1])
    (expected * weights).sum().backward()
    scorer = from_onnx(path, input_size=side)
    last = jnp.asarray(x.detach().permute(0, 2, 3, 1).numpy())
    found = np.asarray(quick_jit(scorer.apply)(scorer.params, last))
    expected = expected.detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    weigh = jnp.asarray(weights.numpy())[None]
    gradient = quick_jit(jax.grad(lambda y: (scorer.apply(scorer.params, y) * weigh).sum()))(last)
    reference = x.grad.permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(
        np.asarray(gradient), reference, rtol=0, atol=1e-3 * np.abs(reference).max()
    )


@pytest.mark.parametrize("exporter", ["torchscript", "dynamo"])
@pytest.mark.parametrize("network", [Residual, Attention, Resized])
@pytest.mark.filterwarnings("ignore")
def test_small_networks(tmp_path, network, exporter):
    if exporter == "dynamo":
        pytest.importorskip("onnxscript", reason="PyTorch's newer exporter needs onnxscript")
    torch.manual_seed(0)
    module = settled(network(), 16)
    compare(module, exported(module, tmp_path, exporter, 16), 16)


FAMILIES = (
    *("ResNet", "ConvNeXt", "EfficientNet", "MobileNet", "RegNet", "DenseNet", "Inception", "ViT"),
    *("DeiT", "Swin", "BEiT", "Mixer", "MaxViT"),
)


@pytest.mark.long
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.filterwarnings("ignore")
def test_a_network_of_each_family(tmp_path, family):
    if importlib.util.find_spec("timm") is None:
        pytest.skip("timm builds the networks here")
    name = "onnx_zoo_networks"
    spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
    networks = importlib.util.module_from_spec(spec)
    sys.modules[name] = networks
    spec.loader.exec_module(networks)
    entry = next(entry for entry in networks.NETWORKS if entry.family == family)
    torch.manual_seed(0)
    module = settled(networks.build(entry), entry.size)
    compare(module, exported(module, tmp_path, "torchscript", entry.size), entry.size)
