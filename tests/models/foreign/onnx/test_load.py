"""A whole file becomes a scorer: numbers, heads, batches, pictures, labels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("onnx", reason="ONNX files are read with the package onnx")

from onnx import TensorProto, helper, numpy_helper
from oracles.onnx_graphs import classifier, model, normals, reference, save
from quick import quick_jit

from qd_fool.errors import UserError
from qd_fool.models.foreign.onnx.load import from_onnx
from qd_fool.scoring.confidence import confidence_of
from qd_fool.scoring.log_odds import log_odds

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def pictures(n=3, side=8, channels=3):
    return normals(n, channels, side, side, seed=9)


def logits_of(scorer, x):
    """Logits for (n, channels, height, width), past preprocessing."""
    return np.asarray(quick_jit(scorer.apply)(scorer.params, jnp.asarray(x.transpose(0, 2, 3, 1))))


def test_logits_are_the_reference_s(tmp_path):
    built = classifier()
    scorer = from_onnx(save(built, tmp_path))
    x = pictures()
    np.testing.assert_allclose(logits_of(scorer, x), reference(built, x)[0], **CLOSE)


def test_weights_are_arguments_and_have_gradients(tmp_path):
    scorer = from_onnx(save(classifier(), tmp_path))
    x = jnp.asarray(pictures().transpose(0, 2, 3, 1))
    sizes = sorted(leaf.size for leaf in jax.tree.leaves(scorer.params))
    assert sizes == sorted([6 * 3 * 9, 6, 5 * 6, 5])
    zeros = jax.tree.map(jnp.zeros_like, scorer.params)
    assert not np.asarray(jax.jit(scorer.apply)(zeros, x)).any()
    gradient = quick_jit(jax.grad(lambda p: scorer.apply(p, x)[:, 0].sum()))(scorer.params)
    assert all(np.abs(np.asarray(leaf)).max() > 0 for leaf in jax.tree.leaves(gradient))


def test_the_kernel_scores_and_differentiates(tmp_path):
    scorer = from_onnx(save(classifier(), tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    odds = quick_jit(lambda y: log_odds(scorer, scorer.params, y))(jnp.asarray(images))
    assert odds.shape == (2, 5)
    gradient = quick_jit(jax.grad(lambda y: log_odds(scorer, scorer.params, y)[0, 0]))(
        jnp.asarray(images, jnp.float32)
    )
    assert np.isfinite(np.asarray(gradient)).all()
    assert np.asarray(gradient).any()


@pytest.mark.parametrize("last", ["Softmax", "LogSoftmax"])
def test_a_final_softmax_is_taken_away(tmp_path, last):
    built = classifier(tail=[(last, ["logits"], ["s"], {}), ("Identity", ["s"], ["out"], {})])
    scorer = from_onnx(save(built, tmp_path))
    plain = from_onnx(save(classifier(), tmp_path, "plain.onnx"))
    np.testing.assert_array_equal(logits_of(scorer, pictures()), logits_of(plain, pictures()))


def test_outputs_can_be_what_they_are(tmp_path):
    tail = [("Softmax", ["logits"], ["out"], {})]
    path = save(classifier(tail=tail), tmp_path)
    x = pictures()
    expected = reference(classifier(tail=tail), x)[0]
    np.testing.assert_allclose(logits_of(from_onnx(path, outputs="logits"), x), expected, **CLOSE)
    mixed = [("Softmax", ["logits"], ["s"], {}), ("Sum", ["s"], ["out"], {})]
    found = logits_of(from_onnx(save(classifier(tail=mixed), tmp_path), outputs="probabilities"), x)
    np.testing.assert_allclose(found, np.log(expected), **CLOSE)


def test_one_sigmoid_is_two_classes(tmp_path):
    tail = [("Sigmoid", ["logits"], ["out"], {})]
    built = classifier(classes=1, tail=tail)
    scorer = from_onnx(save(built, tmp_path), labels=["cat"])
    assert scorer.class_names == ("not cat", "cat")
    x = pictures()
    shares = np.asarray(jax.nn.softmax(logits_of(scorer, x)))
    np.testing.assert_allclose(shares[:, 1:], reference(built, x)[0], **CLOSE)
    probable = from_onnx(
        save(
            classifier(
                classes=1, tail=[("Sigmoid", ["logits"], ["p"], {}), ("Sum", ["p"], ["out"], {})]
            ),
            tmp_path,
        ),
        outputs="probabilities",
    )
    shares = np.asarray(jax.nn.softmax(logits_of(probable, x)))
    np.testing.assert_allclose(shares[:, 1:], reference(built, x)[0], **CLOSE)


def test_many_sigmoids_are_labels_each_against_its_own_absence(tmp_path):
    built = classifier(tail=[("Sigmoid", ["logits"], ["out"], {})])
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    path = save(built, tmp_path)
    for facts in ({}, {"outputs": "label-probabilities"}):
        scorer = from_onnx(path, mean=0, std=255, **facts)
        assert scorer.multilabel
        found = quick_jit(lambda y, s=scorer: log_odds(s, s.params, y))(jnp.asarray(images))
        expected = reference(built, images.transpose(0, 3, 1, 2).astype(np.float32) / 255)[0]
        np.testing.assert_allclose(confidence_of(np.asarray(found)), expected, **CLOSE)
    soft = classifier(tail=[("Softmax", ["logits"], ["out"], {})])
    with pytest.raises(UserError, match="ends in a Softmax, so one of its classes holds"):
        from_onnx(save(soft, tmp_path), outputs="label-probabilities")


@pytest.mark.parametrize("batch", [1, 2])
def test_a_fixed_batch_runs_for_any_number_of_pictures(tmp_path, batch):
    nodes = [
        ("Conv", ["x", "kernel"], ["a"], {"pads": [1, 1, 1, 1]}),
        ("Reshape", ["a", "shape"], ["b"], {}),
        ("MatMul", ["b", "dense"], ["out"], {}),
    ]
    constants = {
        "kernel": normals(2, 3, 3, 3),
        "shape": np.array([batch, -1]),
        "dense": normals(2 * 64, 4),
    }
    built = model(
        nodes, inputs={"x": [batch, 3, 8, 8]}, outputs={"out": [batch, 4]}, constants=constants
    )
    scorer = from_onnx(save(built, tmp_path))
    x = pictures(4)
    expected = [reference(built, x[i : i + batch])[0] for i in range(0, 4, batch)]
    np.testing.assert_allclose(logits_of(scorer, x), np.concatenate(expected), **CLOSE)
    np.testing.assert_allclose(logits_of(scorer, x[:3]), np.concatenate(expected)[:3], **CLOSE)


def test_a_batch_of_one_in_a_reshape_of_an_open_file(tmp_path):
    nodes = [
        ("Reshape", ["x", "shape"], ["a"], {}),
        ("MatMul", ["a", "dense"], ["out"], {}),
    ]
    constants = {"shape": np.array([1, 192]), "dense": normals(192, 4)}
    built = model(
        nodes, inputs={"x": ["n", 3, 8, 8]}, outputs={"out": ["n", 4]}, constants=constants
    )
    scorer = from_onnx(save(built, tmp_path))
    x = pictures()
    expected = x.reshape(3, -1) @ constants["dense"]
    np.testing.assert_allclose(logits_of(scorer, x), expected, **CLOSE)


def test_channels_last_and_bytes(tmp_path):
    nodes = [
        ("Cast", ["x"], ["f"], {"to": TensorProto.FLOAT}),
        ("Transpose", ["f"], ["t"], {"perm": [0, 3, 1, 2]}),
        ("Conv", ["t", "kernel"], ["a"], {}),
        ("ReduceMean", ["a"], ["out"], {"axes": [2, 3], "keepdims": 0}),
    ]
    built = model(
        nodes,
        inputs={"x": ["n", 8, 8, 3]},
        outputs={"out": ["n", 4]},
        constants={"kernel": normals(4, 3, 3, 3)},
        dtype=TensorProto.UINT8,
    )
    scorer = from_onnx(save(built, tmp_path))
    images = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    x = scorer.preprocess(jnp.asarray(images, jnp.float32))
    np.testing.assert_array_equal(np.asarray(x), images)
    found = np.asarray(scorer.apply(scorer.params, x))
    np.testing.assert_allclose(found, reference(built, images)[0], rtol=1e-4, atol=1e-3)


def test_preprocessing(tmp_path):
    path = save(classifier(), tmp_path)
    images = jnp.asarray(np.arange(192).reshape(1, 8, 8, 3), jnp.float32)
    plain = from_onnx(path)
    torchvision = (np.asarray(images) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(np.asarray(plain.preprocess(images)), torchvision, **CLOSE)
    bgr = from_onnx(path, channels="bgr", mean=[104, 117, 123], std=2)
    expected = (np.asarray(images)[..., ::-1] - [104, 117, 123]) / 2
    np.testing.assert_allclose(np.asarray(bgr.preprocess(images)), expected, **CLOSE)
    assert bgr.mean == (123, 117, 104)
    gray = from_onnx(path, channels="gray", mean=0, std=255)
    assert gray.image_shape == (8, 8, 1)
    assert gray.preprocess(images[..., :1]).shape == (1, 8, 8, 3)
    one = from_onnx(save(classifier(channels=1), tmp_path, "gray.onnx"))
    assert (one.image_shape, one.mean) == ((8, 8, 1), (0.0,))


def test_labels(tmp_path):
    path = save(
        classifier(metadata={"names": "{0: 'a', 1: 'b', 2: 'c', 3: 'd', 4: 'e'}"}), tmp_path
    )
    assert from_onnx(path).class_names == tuple("abcde")
    lines = tmp_path / "labels.txt"
    lines.write_text("v\nw\nx\ny\nz\n")
    assert from_onnx(path, labels=lines).class_names == tuple("vwxyz")
    assert from_onnx(save(classifier(), tmp_path)).class_names[4] == "class 4"
    scorer = from_onnx(save(classifier(classes=1000), tmp_path))
    assert scorer.class_names[0].startswith("tench")
    assert len(scorer.wnids) == 1000
    assert from_onnx(save(classifier(classes=1001), tmp_path)).class_names[0] == "background"


def test_one_of_several_outputs(tmp_path):
    built = classifier()
    built.graph.output.append(helper.make_tensor_value_info("c", TensorProto.FLOAT, None))
    path = save(built, tmp_path)
    with pytest.raises(UserError, match=r"several outputs \(logits, c\): choose one with --output"):
        from_onnx(path)
    assert len(from_onnx(path, output="logits").class_names) == 5
    assert len(from_onnx(path, output="c").class_names) == 6
    with pytest.raises(UserError, match=r"the outputs of .* are logits, c"):
        from_onnx(path, output="nothing")


def test_half_precision_runs_in_single(tmp_path):
    built = classifier()
    whole = from_onnx(save(built, tmp_path))
    for tensor in built.graph.initializer:
        array = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for value in (*built.graph.input, *built.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    half = from_onnx(save(built, tmp_path))
    assert {leaf.dtype for leaf in jax.tree.leaves(half.params)} == {jnp.dtype("float32")}
    np.testing.assert_allclose(
        logits_of(half, pictures()), logits_of(whole, pictures()), rtol=1e-2, atol=1e-2
    )


def test_quantised_layers_run_and_have_gradients(tmp_path):
    scale, zero = np.float32(0.05), np.uint8(128)
    nodes = [
        ("QuantizeLinear", ["x", "scale", "zero"], ["q"], {}),
        ("DequantizeLinear", ["q", "scale", "zero"], ["d"], {}),
        ("DequantizeLinear", ["whole", "each", "none"], ["kernel"], {"axis": 0}),
        ("Conv", ["d", "kernel"], ["a"], {}),
        ("ReduceMean", ["a", "sides"], ["out"], {"keepdims": 0}),
    ]
    whole = np.random.default_rng(0).integers(-127, 128, (4, 3, 3, 3)).astype(np.int8)
    constants = {"scale": scale, "zero": zero, "whole": whole}
    constants |= {"sides": np.array([2, 3])}
    constants |= {"each": np.full(4, 0.01, np.float32), "none": np.zeros(4, np.int8)}
    built = model(
        nodes,
        inputs={"x": ["n", 3, 8, 8]},
        outputs={"out": ["n", 4]},
        constants=constants,
        opset=21,
    )
    scorer = from_onnx(save(built, tmp_path))
    x = pictures()
    np.testing.assert_allclose(logits_of(scorer, x), reference(built, x)[0], **CLOSE)
    y = jnp.asarray(x.transpose(0, 2, 3, 1))
    gradient = quick_jit(jax.grad(lambda y: scorer.apply(scorer.params, y)[:, 0].sum()))(y)
    assert np.asarray(gradient).any()


@pytest.mark.parametrize("opset", [7, 9, 11, 13, 18, 21])
def test_versions(tmp_path, opset):
    tail = [("Softmax", ["logits"], ["out"], {})]
    built = classifier(opset=opset, tail=tail)
    scorer = from_onnx(save(built, tmp_path))
    x = pictures()
    shares = np.asarray(jax.nn.softmax(logits_of(scorer, x)))
    np.testing.assert_allclose(shares, reference(built, x)[0], **CLOSE)
