"""The networks in the onnx package, with random weights, against onnxruntime.

Their own expected outputs are .001 everywhere, which proves nothing.
"""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("onnx", reason="ONNX files are read with the package onnx")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is the oracle here")

import onnx  # noqa: E402
from onnx import numpy_helper  # noqa: E402
from oracles.onnx_graphs import save  # noqa: E402
from quick import quick_jit  # noqa: E402

from qd_fool.models.foreign.onnx.load import from_onnx  # noqa: E402

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = ("squeezenet", "shufflenet", "resnet50", "inception_v1", "inception_v2", "densenet121")


def with_random_weights(name):
    """A model whose constants are random, and whose output is the logits."""
    model = onnx.load(LIGHT / f"light_{name}.onnx")
    rng = np.random.default_rng(0)
    shapes = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    variances = {n.input[4] for n in model.graph.node if n.op_type == "BatchNormalization"}
    kept = []
    for node in model.graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        shape = shapes[node.input[0]]
        array = rng.normal(size=shape) / np.sqrt(max(np.prod(shape[1:]), 1))
        array = np.abs(array) + 0.5 if node.output[0] in variances else array
        model.graph.initializer.append(
            numpy_helper.from_array(array.astype(np.float32), node.output[0])
        )
    if kept[-1].op_type == "Softmax":
        model.graph.output[0].name = kept.pop().input[0]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


@pytest.mark.parametrize(
    "name", [NAMES[0], *(pytest.param(name, marks=pytest.mark.long) for name in NAMES[1:])]
)
def test_logits_are_onnxruntime_s(tmp_path, name):
    path = save(with_random_weights(name), tmp_path)
    x = np.random.default_rng(1).normal(size=(2, 3, 224, 224)).astype(np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    given = session.get_inputs()[0].name
    expected = [session.run(None, {given: x[i : i + 1]})[0].reshape(1, -1) for i in range(2)]
    scorer = from_onnx(path)
    found = quick_jit(scorer.apply)(scorer.params, jnp.asarray(x.transpose(0, 2, 3, 1)))
    scale = np.abs(expected).max()
    assert np.ptp(expected) > 0.01 * scale
    np.testing.assert_allclose(np.asarray(found), np.concatenate(expected), atol=1e-4 * scale)
