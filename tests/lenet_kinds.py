"""The shipped LeNet as an ONNX file, a module of PyTorch, and a plain function."""

import numpy as np
import safetensors.numpy
from oracles.onnx_graphs import model
from paths import REPOSITORY

import qd_fool

FILE = REPOSITORY / "qd_fool" / "models" / "weights" / "lenet.safetensors"


def weights():
    return safetensors.numpy.load_file(FILE)


def as_onnx():
    """The file's input is gray pixels divided by 256, NCHW."""
    arrays = weights()
    pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
    return model(
        [
            ("Conv", ["x", "conv1.weight", "conv1.bias"], ["a"], {}),
            ("MaxPool", ["a"], ["b"], pool),
            ("Conv", ["b", "conv2.weight", "conv2.bias"], ["c"], {}),
            ("MaxPool", ["c"], ["d"], pool),
            ("Flatten", ["d"], ["e"], {}),
            ("Gemm", ["e", "ip1.weight", "ip1.bias"], ["f"], {"transB": 1}),
            ("Relu", ["f"], ["g"], {}),
            ("Gemm", ["g", "ip2.weight", "ip2.bias"], ["logits"], {"transB": 1}),
        ],
        inputs={"x": ("n", 1, 28, 28)},
        outputs={"logits": ("n", 10)},
        constants=arrays,
        metadata={"labels": "0,1,2,3,4,5,6,7,8,9"},
    )


def as_function():
    """A function of 8-bit pictures, without a gradient."""
    scorer = qd_fool.load_scorer("lenet")
    import jax

    forward = jax.jit(lambda x: scorer.apply(scorer.params, scorer.preprocess(x)))

    def predict(pictures):
        # One shape, so that nothing recompiles.
        filled = np.zeros((100, 28, 28, 1), np.float32)
        filled[: len(pictures)] = pictures
        return np.asarray(forward(filled))[: len(pictures)]

    return predict


def as_module(torch):
    """A module of PyTorch, whose input is pixels divided by 256, NCHW."""
    nn, arrays = torch.nn, weights()
    layers = {
        "conv1": nn.Conv2d(1, 20, 5),
        "conv2": nn.Conv2d(20, 50, 5),
        "ip1": nn.Linear(800, 500),
        "ip2": nn.Linear(500, 10),
    }
    for name, layer in layers.items():
        layer.weight.data = torch.from_numpy(arrays[f"{name}.weight"])
        layer.bias.data = torch.from_numpy(arrays[f"{name}.bias"])
    return nn.Sequential(
        layers["conv1"], nn.MaxPool2d(2), layers["conv2"], nn.MaxPool2d(2), nn.Flatten(),
        layers["ip1"], nn.ReLU(), layers["ip2"],
    ).eval()  # fmt: skip
