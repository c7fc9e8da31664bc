"""A network of many classes for `many_classes.py`: a synthetic head on SqueezeNet 1.1, as ONNX."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from qd_fool.encodings import make_encoding
from qd_fool.encodings.randomness import run_key
from qd_fool.models import Scorer
from qd_fool.models.architectures.squeezenet import FIRES, POOLS
from qd_fool.scoring.crops import crop_places

PICTURES = 400
"""Random CPPN pictures on which the head is scaled."""

AT_ONCE = 20


def write_network(scorer: Scorer, folder: Path, *, classes: int) -> tuple[Path, Path]:
    """Write `many.onnx` and `many.txt`, the labels. Returns both paths.

    The head is a random projection of the 512 averaged channels, each standardised over random CPPN
    pictures. Its scale gives these pictures the median top confidence of SqueezeNet's own head.
    """
    features, logits_1000 = _features(scorer)
    mean, std = features.mean(axis=0), features.std(axis=0) + features.std()
    rng = np.random.default_rng(0)
    head = rng.standard_normal((features.shape[1], classes), np.float32) / np.sqrt(len(std))
    logits = ((features - mean) / std) @ head
    scale = _scale(logits, wanted=float(np.median(_top(logits_1000))))
    weight = (head * (scale / std)[:, None]).astype(np.float32)
    bias = (-mean @ weight).astype(np.float32)
    path, labels = folder / "many.onnx", folder / "many.txt"
    onnx.save(_model(scorer, weight, bias), path)
    labels.write_text("".join(f"thing {k}, n{10_000_000 + k}\n" for k in range(classes)))
    return path, labels


def _features(scorer: Scorer) -> tuple[np.ndarray, np.ndarray]:
    """Averaged channels before SqueezeNet's head, and its own logits, of random pictures."""
    encoding = make_encoding("cppn", scorer.image_shape, color="hsv", coords="normalized")
    side, whole = scorer.input_size, scorer.params
    top, left, _ = crop_places(scorer.image_shape, size=side, crops=1)[0]
    # With a head that leaves the channels as they are, the network returns their averages.
    channels = whole["params"]["conv10"]["kernel"].shape[2]
    same = {"kernel": jnp.eye(channels)[None, None], "bias": jnp.zeros(channels)}
    bare = whole | {"params": whole["params"] | {"conv10": same}}

    @jax.jit
    def both(keys: jax.Array) -> list[jax.Array]:
        pictures = encoding.render(encoding.init(keys))
        pictures = pictures[:, top : top + side, left : left + side]
        x = scorer.preprocess(pictures.astype(jnp.float32))
        return [scorer.apply(params, x) for params in (bare, whole)]

    keys = jax.random.split(run_key(0), PICTURES)
    parts = [both(keys[i : i + AT_ONCE]) for i in range(0, PICTURES, AT_ONCE)]
    features, logits = (np.concatenate(part) for part in zip(*parts, strict=True))
    return features, logits


def _top(logits: np.ndarray) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return 1 / shifted.sum(axis=1)


def _scale(logits: np.ndarray, *, wanted: float) -> float:
    """The factor that gives logits a median top confidence."""
    low, high = 0.0, 1000.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if np.median(_top(middle * logits)) < wanted else (low, middle)
    return low


def _model(scorer: Scorer, weight: np.ndarray, bias: np.ndarray) -> onnx.ModelProto:
    nodes, arrays = [], {}

    def conv(x: str, name: str, **more: list[int]) -> str:
        layer = scorer.params["params"][name]
        arrays[f"{name}.w"] = np.asarray(layer["kernel"]).transpose(3, 2, 0, 1)
        arrays[f"{name}.b"] = np.asarray(layer["bias"])
        node = helper.make_node("Conv", [x, f"{name}.w", f"{name}.b"], [name], **more)
        nodes.append(node)
        return name

    def then(kind: str, *inputs: str, **more: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"{kind}{len(nodes)}"], **more))
        return str(nodes[-1].output[0])

    def pool(x: str) -> str:
        return then("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)

    x = pool(then("Relu", conv("pictures", "conv1", strides=[2, 2])))
    for i in range(len(FIRES)):
        name = f"fire{i + 2}"
        x = then("Relu", conv(x, f"{name}/squeeze"))
        wide = conv(x, f"{name}/expand1x1"), conv(x, f"{name}/expand3x3", pads=[1, 1, 1, 1])
        x = then("Relu", then("Concat", *wide, axis=1))
        if i + 2 in POOLS["1.1"]:
            x = pool(x)
    x = then("Flatten", then("GlobalAveragePool", x))
    arrays |= {"head.w": weight, "head.b": bias}
    nodes.append(helper.make_node("Gemm", [x, "head.w", "head.b"], ["logits"]))
    size = scorer.input_size
    graph = helper.make_graph(
        nodes,
        "many",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["n", 3, size, size])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(bias)])],
        [numpy_helper.from_array(np.ascontiguousarray(a), name) for name, a in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
