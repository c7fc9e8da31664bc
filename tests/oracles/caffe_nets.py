"""Independent NumPy oracle for the ImageNet networks: the AlexNet family and SqueezeNet.

Images and activations are NCHW, convolution weights OIHW, inner products (out, in). Written from:
BVLC/caffe models/{bvlc_alexnet,bvlc_reference_caffenet}/*.prototxt (both nets have 60,965,224
parameters, with two groups in conv2, conv4 and conv5) and src/caffe/layers/*.cpp for what each
layer means; forresti/SqueezeNet; torchvision's models/{alexnet,squeezenet}.py. It favours being
obviously right over being fast. Every layer computes in the type of its `x`; a net takes a `dtype`.
"""

from collections.abc import Mapping

import numpy as np

Flat = Mapping[str, np.ndarray]

# conv1 .. fc8, as both Caffe nets have them; conv2, conv4 and conv5 have two groups.
CAFFE_SHAPES = {
    "conv1": (96, 3, 11, 11),
    "conv2": (256, 48, 5, 5),
    "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3),
    "conv5": (256, 192, 3, 3),
    "fc6": (4096, 9216),
    "fc7": (4096, 4096),
    "fc8": (1000, 4096),
}
TORCHVISION_ALEXNET_SHAPES = {
    "features.0": (64, 3, 11, 11),
    "features.3": (192, 64, 5, 5),
    "features.6": (384, 192, 3, 3),
    "features.8": (256, 384, 3, 3),
    "features.10": (256, 256, 3, 3),
    "classifier.1": (4096, 9216),
    "classifier.4": (4096, 4096),
    "classifier.6": (1000, 4096),
}
# fire2 .. fire9: how many squeeze, and how many expand channels of each kind (arXiv:1602.07360).
FIRES = ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256))
SQUEEZENETS = {  # conv1's shape, and the fires that a max-pool comes after (conv1 has one too)
    "1.0": ((96, 3, 7, 7), (4, 8)),
    "1.1": ((64, 3, 3, 3), (3, 5)),
}


def _check_floats(x: np.ndarray) -> None:
    """Weights are cast to the type of `x`: whole numbers would truncate them."""
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"x is {x.dtype}: expected floats")


def conv(
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    *,
    stride: int = 1,
    pad: int = 0,
    group: int = 1,
) -> np.ndarray:
    """Cross-correlation `(n, in, h, w) -> (n, out, h', w')`; sizes round down (conv_layer.cpp).

    `weight` is `(out, in / group, k, k)`: output channel o sees the inputs of group
    `o // (out / group)` only.
    """
    _check_floats(x)
    out_channels, in_channels, height, width = weight.shape
    if x.shape[1] != in_channels * group or out_channels % group:
        raise ValueError(f"{x.shape[1]} channels do not go into {weight.shape} in {group} groups")
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]  # n, channels, h', w', k, k
    n, _, rows, columns = windows.shape[:4]
    kernels = weight.astype(x.dtype).reshape(group, out_channels // group, -1)
    out = np.empty((n, group, out_channels // group, rows * columns), x.dtype)
    for i in range(n):  # one image at a time bounds the memory
        for g in range(group):
            part = windows[i, g * in_channels : (g + 1) * in_channels]
            patches = part.transpose(0, 3, 4, 1, 2).reshape(-1, rows * columns)
            out[i, g] = kernels[g] @ patches
    out = out.reshape(n, out_channels, rows, columns)
    return out + bias.astype(x.dtype)[:, None, None]


def pooled_size(length: int, *, size: int, stride: int, pad: int, ceil: bool) -> int:
    """How many windows: Caffe's rule (pooling_layer.cpp) if `ceil`, else PyTorch's default."""
    span = length + 2 * pad - size
    if not ceil:
        return span // stride + 1
    count = -(-span // stride) + 1
    if pad and (count - 1) * stride >= length + pad:  # the last window must start in the image
        count -= 1
    return count


def max_pool(x: np.ndarray, *, size: int, stride: int, pad: int = 0, ceil: bool) -> np.ndarray:
    """Largest of each window's pixels, those outside the image left out."""
    counts = [pooled_size(n, size=size, stride=stride, pad=pad, ceil=ceil) for n in x.shape[2:]]
    ends = [(count - 1) * stride + size for count in counts]
    after = [max(end - n - pad, 0) for end, n in zip(ends, x.shape[2:], strict=True)]
    x = np.pad(
        x,
        ((0, 0), (0, 0), (pad, after[0]), (pad, after[1])),
        constant_values=-np.inf,
    )
    out = np.full((*x.shape[:2], *counts), -np.inf, x.dtype)
    for i in range(size):
        for j in range(size):
            rows = slice(i, ends[0] - size + i + 1, stride)
            columns = slice(j, ends[1] - size + j + 1, stride)
            np.maximum(out, x[:, :, rows, columns], out=out)
    return out


def lrn(
    x: np.ndarray, *, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> np.ndarray:
    """`x (k + alpha / size * sum of squares over size channels) ** -beta` (lrn_layer.cpp).

    The channels are those around each channel; beyond the first and last there are zeros.
    """
    half = (size - 1) // 2
    channels = x.shape[1]
    squares = np.pad(x * x, ((0, 0), (half, half), (0, 0), (0, 0)))
    total = sum(squares[:, shift : shift + channels] for shift in range(size))
    return x * (k + alpha / size * total) ** -beta


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


def dense(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """`(n, ...) -> (n, out)`: an image's numbers are taken in the order channel, row, column."""
    _check_floats(x)
    return x.reshape(len(x), -1) @ weight.astype(x.dtype).T + bias.astype(x.dtype)


def adaptive_avg_pool(x: np.ndarray, size: int) -> np.ndarray:
    """PyTorch's: output i is the mean over `floor(i n / size)` up to `ceil((i + 1) n / size)`."""

    def bins(length: int) -> list[slice]:
        return [slice(i * length // size, -(-(i + 1) * length // size)) for i in range(size)]

    rows, columns = bins(x.shape[2]), bins(x.shape[3])
    return np.stack(
        [np.stack([x[:, :, r, c].mean((2, 3)) for c in columns], axis=-1) for r in rows], axis=-2
    )


def _layer(flat: Flat, name: str) -> tuple[np.ndarray, np.ndarray]:
    return flat[f"{name}.weight"], flat[f"{name}.bias"]


def _classifier(flat: Flat, x: np.ndarray, first: str, second: str, last: str) -> np.ndarray:
    """Two hidden layers (dropout is the identity at test time) and the logits."""
    x = relu(dense(x, *_layer(flat, first)))
    x = relu(dense(x, *_layer(flat, second)))
    return dense(x, *_layer(flat, last))


def _caffe_alexnet(flat: Flat, x: np.ndarray, *, norm_first: bool) -> np.ndarray:
    def norm_and_pool(x: np.ndarray) -> np.ndarray:
        if norm_first:
            return max_pool(lrn(x), size=3, stride=2, ceil=True)
        return lrn(max_pool(x, size=3, stride=2, ceil=True))

    x = norm_and_pool(relu(conv(x, *_layer(flat, "conv1"), stride=4)))
    x = norm_and_pool(relu(conv(x, *_layer(flat, "conv2"), pad=2, group=2)))
    x = relu(conv(x, *_layer(flat, "conv3"), pad=1))
    x = relu(conv(x, *_layer(flat, "conv4"), pad=1, group=2))
    x = relu(conv(x, *_layer(flat, "conv5"), pad=1, group=2))
    x = max_pool(x, size=3, stride=2, ceil=True)
    return _classifier(flat, x, "fc6", "fc7", "fc8")


def caffenet(flat: Flat, x: np.ndarray, *, dtype: type = np.float64) -> np.ndarray:
    """BVLC's reference CaffeNet, pool before norm: `(n, 3, 227, 227)` -> logits `(n, 1000)`.

    `x` is BGR, 0..255, with the mean subtracted.
    """
    return _caffe_alexnet(flat, x.astype(dtype), norm_first=False)


def bvlc_alexnet(flat: Flat, x: np.ndarray, *, dtype: type = np.float64) -> np.ndarray:
    """BVLC's AlexNet, norm before pool; otherwise as `caffenet`."""
    return _caffe_alexnet(flat, x.astype(dtype), norm_first=True)


def torchvision_alexnet(flat: Flat, x: np.ndarray, *, dtype: type = np.float64) -> np.ndarray:
    """torchvision's AlexNet ("one weird trick"): no LRN, no groups.

    `x` is `(n, 3, 224, 224)`, RGB, normalised; logits `(n, 1000)`.
    """
    x = relu(conv(x.astype(dtype), *_layer(flat, "features.0"), stride=4, pad=2))
    x = max_pool(x, size=3, stride=2, ceil=False)
    x = relu(conv(x, *_layer(flat, "features.3"), pad=2))
    x = max_pool(x, size=3, stride=2, ceil=False)
    for name in ("features.6", "features.8", "features.10"):
        x = relu(conv(x, *_layer(flat, name), pad=1))
    x = max_pool(x, size=3, stride=2, ceil=False)
    x = adaptive_avg_pool(x, 6)
    return _classifier(flat, x, "classifier.1", "classifier.4", "classifier.6")


def squeezenet(
    flat: Flat, x: np.ndarray, *, version: str, conv10_pad: int, dtype: type = np.float64
) -> np.ndarray:
    """SqueezeNet "1.0" or "1.1": `(n, 3, h, w)` -> logits `(n, 1000)`.

    Args:
      flat: `conv1`, `fireN/{squeeze,expand1x1,expand3x3}`, `conv10`, each `.weight` and `.bias`.
      x: what the weights were trained on: RGB and normalised, or BGR less the mean.
      version: the names are the same for both, the shapes and the pools' places are not.
      conv10_pad: 1 for the published Caffe weights, 0 for torchvision's.
      dtype: what to compute in.
    """
    pools_after = SQUEEZENETS[version][1]
    x = relu(conv(x.astype(dtype), *_layer(flat, "conv1"), stride=2))
    x = max_pool(x, size=3, stride=2, ceil=True)
    for fire in range(2, 10):
        x = relu(conv(x, *_layer(flat, f"fire{fire}/squeeze")))
        ones = relu(conv(x, *_layer(flat, f"fire{fire}/expand1x1")))
        threes = relu(conv(x, *_layer(flat, f"fire{fire}/expand3x3"), pad=1))
        x = np.concatenate([ones, threes], axis=1)
        if fire in pools_after:
            x = max_pool(x, size=3, stride=2, ceil=True)
    x = relu(conv(x, *_layer(flat, "conv10"), pad=conv10_pad))
    return x.mean((2, 3))


def squeezenet_shapes(version: str) -> dict[str, tuple[int, ...]]:
    """Weight shapes by layer name, in order."""
    conv1, _ = SQUEEZENETS[version]
    shapes: dict[str, tuple[int, ...]] = {"conv1": conv1}
    channels = conv1[0]
    for fire, (squeeze, expand) in enumerate(FIRES, start=2):
        shapes[f"fire{fire}/squeeze"] = (squeeze, channels, 1, 1)
        shapes[f"fire{fire}/expand1x1"] = (expand, squeeze, 1, 1)
        shapes[f"fire{fire}/expand3x3"] = (expand, squeeze, 3, 3)
        channels = 2 * expand
    return {**shapes, "conv10": (1000, channels, 1, 1)}


# Each net's shapes, and the size of its random biases: about a hundredth of the activations that
# its inputs lead to, so that a bias gone wrong is far above the rounding of float32.
RANDOM_NETS: dict[str, tuple[dict[str, tuple[int, ...]], float]] = {
    "caffenet": (CAFFE_SHAPES, 1.0),
    "bvlc_alexnet": (CAFFE_SHAPES, 1.0),
    "torchvision_alexnet": (TORCHVISION_ALEXNET_SHAPES, 0.02),
    "squeezenet1.0": (squeezenet_shapes("1.0"), 0.1),
    "squeezenet1.1": (squeezenet_shapes("1.1"), 0.1),
}


def random_flat(name: str, seed: int) -> dict[str, np.ndarray]:
    """Random float32 arrays of a net of `RANDOM_NETS`: He-scaled weights and small biases."""
    shapes, bias_scale = RANDOM_NETS[name]
    rng = np.random.default_rng(seed)
    flat = {}
    for layer, shape in shapes.items():
        deviation = np.float32(np.sqrt(2 / np.prod(shape[1:])))
        flat[f"{layer}.weight"] = rng.standard_normal(shape, np.float32) * deviation
        flat[f"{layer}.bias"] = rng.standard_normal(shape[0], np.float32) * np.float32(bias_scale)
    return flat
