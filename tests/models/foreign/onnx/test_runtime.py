"""The engine onnxruntime against the engine JAX, on whole files."""

import dataclasses
import sys

import numpy as np
import pytest

pytest.importorskip("onnx", reason="ONNX files are read with the package onnx")
pytest.importorskip("onnxruntime", reason="the engine under test")

from onnx import TensorProto
from oracles.onnx_graphs import classifier, model, normals, save

from qd_fool.errors import UserError
from qd_fool.models.foreign.onnx import engines
from qd_fool.models.foreign.onnx.load import from_onnx
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.scorer import Scorer
from qd_fool.scoring.score import score_images


def dense(shape=("n", 3, 8, 8), *, ending=None, classes=5, dtype=TensorProto.FLOAT, to=None):
    """A mean over the picture, a matrix, a Reshape (to) and an ending."""
    first = shape[1] in (1, 3)
    constants = {"w": 9 * normals(shape[1] if first else shape[3], classes, seed=3)}
    nodes = [
        ("Cast", ["x"], ["f"], {"to": TensorProto.FLOAT}),
        ("ReduceMean", ["f"], ["m"], {"axes": [2, 3] if first else [1, 2], "keepdims": 0}),
        ("MatMul", ["m", "w"], ["z"], {}),
    ]
    if to is not None:
        nodes.append(("Reshape", ["z", "to"], ["r"], {}))
        constants["to"] = np.asarray(to)
    if ending is not None:
        nodes.append((ending, [nodes[-1][2][0]], ["p"], {}))
    out = {nodes[-1][2][0]: [shape[0], classes]}
    return model(nodes, inputs={"x": list(shape)}, outputs=out, constants=constants, dtype=dtype)


FILES = {
    "logits": (dense(), {}),
    "softmax": (dense(ending="Softmax"), {}),
    "log-softmax": (dense(ending="LogSoftmax"), {}),
    "probabilities": (dense(ending="Softmax"), {"outputs": "probabilities"}),
    "one number": (dense(ending="Sigmoid", classes=1), {"labels": ["cat"]}),
    "nhwc": (dense(("n", 8, 8, 3)), {"channels": "bgr", "mean": [1, 2, 3], "std": 4}),
    "gray": (dense(("n", 1, 8, 8)), {}),
    "gray thrice": (dense(), {"channels": "gray"}),
    "bytes": (dense(dtype=TensorProto.UINT8), {}),
    "any size": (dense(("n", 3, "h", "w")), {"input_size": 8}),
    "not square": (dense(("n", 3, 6, 10)), {}),
    "any two sides": (dense(("n", 3, "h", "w")), {"input_size": (10, 6)}),
    "labels": (dense(ending="Sigmoid"), {}),
    "label by label": (dense(ending="Sigmoid"), {"outputs": "label-probabilities"}),
    "batch of two": (dense((2, 3, 8, 8)), {}),
    "bound to one": (dense(to=[1, 5]), {}),
}


@pytest.mark.parametrize(("built", "facts"), FILES.values(), ids=FILES)
def test_scores_and_facts_are_those_in_jax(built, facts, tmp_path):
    path = save(built, tmp_path)
    host = from_onnx(path, engine="onnxruntime", **facts)
    native = from_onnx(path, **facts)
    assert isinstance(host, HostScorer)
    shown = (3, *native.image_shape)
    pictures = np.random.default_rng(0).integers(0, 256, shown, dtype=np.uint8)
    found, expected = (score_images(s, pictures, crops=1, chunk=4) for s in (host, native))
    np.testing.assert_allclose(found, expected, atol=1e-3, rtol=1e-4)
    for fact in (
        "name",
        "class_names",
        "image_shape",
        "input_size",
        "weights_sha256",
        "mean",
        "multilabel",
    ):
        assert getattr(host, fact) == getattr(native, fact)
    assert "by onnxruntime" in host.weights


def test_numbers_beside_the_file_are_read_and_no_others(tmp_path):
    import onnx

    path = tmp_path / "model.onnx"
    onnx.save(classifier(), path, save_as_external_data=True, location="numbers", size_threshold=0)
    host = from_onnx(path, engine="onnxruntime")
    pictures = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    native = from_onnx(path)
    found, expected = (score_images(s, pictures, crops=1, chunk=4) for s in (host, native))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    (tmp_path / "numbers").rename(tmp_path.parent / "numbers")
    built = onnx.load(path, load_external_data=False)
    for tensor in built.graph.initializer:
        tensor.external_data[0].value = "../numbers"
    path.write_bytes(built.SerializeToString())
    with pytest.raises(UserError, match="outside of the model's folder"):
        from_onnx(path, engine="onnxruntime")


def test_what_does_not_fit_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="ends in a Softmax, so one of its classes holds"):
        from_onnx(
            save(dense(ending="Softmax"), tmp_path),
            engine="onnxruntime",
            outputs="label-probabilities",
        )
    unknown = save(dense(ending="NoSuchOperator"), tmp_path)
    with pytest.raises(UserError, match="onnxruntime does not take it"):
        from_onnx(unknown, engine="onnxruntime")
    with pytest.raises(UserError, match="NoSuchOperator"):
        from_onnx(unknown, engine="auto")
    with pytest.raises(UserError, match="--engine is 'tvm'"):
        from_onnx(unknown, engine="tvm")
    with pytest.raises(UserError, match="cannot be read"):
        from_onnx(tmp_path / "absent.onnx", engine="onnxruntime")


def test_auto_takes_the_faster_one_and_says_so(tmp_path, monkeypatch):
    path = save(dense(), tmp_path)
    monkeypatch.setattr(engines, "_speed_in_jax", lambda scorer: 100.0)
    for speed, kind, words in (
        (200.0, HostScorer, "200 pictures/s; JAX: 100"),
        (50.0, Scorer, "by JAX: 100 pictures/s; onnxruntime: 50"),
    ):
        monkeypatch.setattr(engines, "_speed_on_host", lambda scorer, speed=speed: speed)
        scorer = from_onnx(path, engine="auto")
        assert isinstance(scorer, kind)
        assert words in scorer.weights


def test_both_engines_are_measured(tmp_path):
    path = save(dense(), tmp_path)
    native = dataclasses.replace(from_onnx(path), chunk=2)
    assert engines._speed_in_jax(native) > 0
    assert engines._speed_on_host(from_onnx(path, engine="onnxruntime")) > 0


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match=r"pip install 'qd-fool\[onnxruntime\]'"):
        from_onnx(save(dense(), tmp_path), engine="onnxruntime")
