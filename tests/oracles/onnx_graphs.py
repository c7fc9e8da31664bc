"""Small ONNX files, built by hand: nothing but the package `onnx` is needed."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT = TensorProto.FLOAT


def model(nodes, *, inputs, outputs, constants=None, opset=17, metadata=None, dtype=FLOAT):
    """A model of nodes `(operator, inputs, outputs, attributes)`.

    `inputs` and `outputs` are shapes by name, `constants` arrays by name.
    """
    made = [
        helper.make_node(operator, takes, gives, name=f"{operator}_{i}", **more)
        for i, (operator, takes, gives, more) in enumerate(nodes)
    ]
    graph = helper.make_graph(
        made,
        "network",
        [helper.make_tensor_value_info(name, dtype, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(a), name) for name, a in (constants or {}).items()],
    )
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    for key, value in (metadata or {}).items():
        helper.set_model_props(
            built, {**{p.key: p.value for p in built.metadata_props}, key: value}
        )
    return built


def save(built, folder, name="network.onnx"):
    """Write a model, and return its path."""
    path = folder / name
    onnx.save(built, path)
    return path


def normals(*shape, seed=0):
    """Random numbers of a shape."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def classifier(*, batch="n", side=8, channels=3, classes=5, tail=(), opset=17, **more):
    """Convolution, ReLU, average, dense; `tail` are further nodes from "logits" to "out"."""
    nodes = [
        ("Conv", ["x", "kernel", "bias"], ["a"], {"pads": [1, 1, 1, 1]}),
        ("Relu", ["a"], ["b"], {}),
        ("GlobalAveragePool", ["b"], ["c"], {}),
        ("Flatten", ["c"], ["d"], {}),
        ("Gemm", ["d", "dense", "shift"], ["logits"], {"transB": 1}),
        *tail,
    ]
    constants = {
        "kernel": normals(6, channels, 3, 3),
        "bias": normals(6, seed=1),
        "dense": normals(classes, 6, seed=2),
        "shift": normals(classes, seed=3),
    }
    out = "out" if tail else "logits"
    return model(
        nodes,
        inputs={"x": [batch, channels, side, side]},
        outputs={out: [batch, classes]},
        constants=constants,
        opset=opset,
        **more,
    )


def reference(built, x):
    """What `onnx.reference` gives, for pictures `(n, channels, height, width)`."""
    from onnx.reference import ReferenceEvaluator

    name = built.graph.input[0].name
    return ReferenceEvaluator(built).run(None, {name: x})
