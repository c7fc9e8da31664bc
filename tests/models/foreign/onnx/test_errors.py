"""Broken and hostile files: one sentence, bounded memory."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="ONNX files are read with the package onnx")

import onnx
from onnx import TensorProto, helper
from oracles.onnx_graphs import classifier, model, normals, save

from qd_fool.errors import UserError
from qd_fool.models.foreign.onnx.load import from_onnx


def refused(path, match, **settings):
    with pytest.raises(UserError, match=match) as caught:
        from_onnx(path, **settings)
    assert "\n" not in str(caught.value)


def chain(nodes, tmp_path, *, constants=None, shape=("n", 3, 8, 8), name="network.onnx", **more):
    """A file of nodes from "x" to "out"."""
    built = model(
        nodes, inputs={"x": list(shape)}, outputs={"out": None}, constants=constants, **more
    )
    return save(built, tmp_path, name)


def test_no_file_and_no_model(tmp_path):
    refused(tmp_path / "none.onnx", "cannot be read")
    (tmp_path / "text.onnx").write_bytes(b"hello, this is no model")
    refused(tmp_path / "text.onnx", "not an ONNX model")
    (tmp_path / "empty.onnx").write_bytes(b"")
    refused(tmp_path / "empty.onnx", "not an ONNX model")


def test_a_cut_file(tmp_path):
    whole = save(classifier(), tmp_path).read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "cut.onnx", "not an ONNX model")


def test_a_missing_operator_is_named(tmp_path):
    path = chain([("NonMaxSuppression", ["x", "x"], ["out"], {})], tmp_path)
    refused(path, r"operator NonMaxSuppression of node 'NonMaxSuppression_0'.*--engine onnxruntime")
    other = model(
        [("FusedConv", ["x"], ["out"], {"domain": "com.microsoft"})],
        inputs={"x": ["n", 3, 8, 8]},
        outputs={"out": None},
    )
    refused(save(other, tmp_path), r"operator com\.microsoft\.FusedConv")


def test_values_that_are_nowhere_and_circles(tmp_path):
    refused(chain([("Add", ["x", "y"], ["out"], {})], tmp_path), "'y', which is nowhere")
    circle = [
        ("Add", ["x", "b"], ["a"], {}),
        ("Relu", ["a"], ["b"], {}),
        ("Relu", ["b"], ["out"], {}),
    ]
    refused(chain(circle, tmp_path), "waits for its own output")
    twice = [("Relu", ["x"], ["out"], {}), ("Abs", ["x"], ["out"], {})]
    refused(chain(twice, tmp_path), "two nodes make the value 'out'")


@pytest.mark.parametrize(
    ("nodes", "constants"),
    [
        ([("ConstantOfShape", ["s"], ["c"], {})], {"s": np.array([2**40, 2**40])}),
        ([("ConstantOfShape", ["s"], ["c"], {})], {"s": np.array([-5, 5])}),
        ([("Expand", ["k", "s"], ["c"], {})], {"s": np.array([2**35, 1]), "k": normals(1)}),
        ([("Tile", ["k", "s"], ["c"], {})], {"s": np.array([2**40]), "k": normals(1)}),
        (
            [("Range", ["a", "b", "d"], ["c"], {})],
            {"a": np.int64(0), "b": np.int64(2**50), "d": np.int64(1)},
        ),
        ([("Pad", ["k", "s"], ["c"], {})], {"s": np.array([0, 2**40]), "k": normals(1)}),
        ([("Range", ["a", "b", "a"], ["c"], {})], {"a": np.int64(0), "b": np.int64(5)}),
        (
            [("OneHot", ["i", "s", "v"], ["c"], {})],
            {"i": np.arange(4), "s": np.array([2**40]), "v": np.array([0.0, 1.0], np.float32)},
        ),
        (
            [("Gather", ["k", "i"], ["c"], {})],
            {"k": normals(2**14, 2), "i": np.zeros(2**15, np.int64)[None].repeat(2**3, 0) + 2**15},
        ),
        ([("MatMul", ["k", "l"], ["c"], {})], {"k": normals(2**15, 1), "l": normals(1, 2**15)}),
        (
            [("Einsum", ["k", "k", "k"], ["c"], {"equation": "a,b,c->abc"})],
            {"k": normals(2**12)},
        ),
        (
            [("DequantizeLinear", ["q", "k"], ["c"], {"axis": 0, "block_size": 2**40})],
            {"q": np.ones((4, 4), np.int8), "k": normals(2, 4)},
        ),
        ([("LRN", ["r"], ["c"], {"size": 2**31})], {"r": normals(1, 3, 8, 8)}),
        ([("Mul", ["k", "l"], ["c"], {})], {"k": normals(2**15, 1), "l": normals(1, 2**15)}),
    ],
)
def test_huge_and_negative_shapes(tmp_path, nodes, constants):
    path = chain([*nodes, ("Add", ["x", "c"], ["out"], {})], tmp_path, constants=constants)
    refused(path, "cannot run")


def test_doubling_values(tmp_path):
    nodes = [("Concat", ["k", "k"], ["v0"], {"axis": 0})]
    nodes += [("Concat", [f"v{i}", f"v{i}"], [f"v{i + 1}"], {"axis": 0}) for i in range(40)]
    nodes += [("Add", ["x", "v40"], ["out"], {})]
    refused(chain(nodes, tmp_path, constants={"k": normals(1024)}), "asks for a value of shape")


def test_picture_doubles(tmp_path):
    nodes = [("Concat", ["x", "x"], ["v0"], {"axis": 2})]
    nodes += [("Concat", [f"v{i}", f"v{i}"], [f"v{i + 1}"], {"axis": 2}) for i in range(40)]
    nodes += [("Relu", ["v40"], ["out"], {})]
    refused(chain(nodes, tmp_path), "asks for a value of shape")


def test_windows_that_are_none(tmp_path):
    kernel = {"k": normals(4, 3, 3, 3)}
    for more in (
        {"strides": [0, 0]},
        {"pads": [-4, 0, 0, 0]},
        {"pads": [2**30, 0, 0, 0]},
        {"dilations": [-1, 1]},
        {"group": 0},
        {"group": 2},
        {"strides": [1]},
    ):
        path = chain([("Conv", ["x", "k"], ["out"], more)], tmp_path, constants=kernel)
        refused(path, "cannot run")


def test_an_array_without_its_numbers(tmp_path):
    built = classifier()
    built.graph.initializer[0].dims[:] = [2**40, 2**20]
    refused(save(built, tmp_path), "the array 'kernel' of shape")
    built.graph.initializer[0].dims[:] = [-1, 162]
    refused(save(built, tmp_path), "the array 'kernel' has the shape")


def _external(built, location, **more):
    tensor = built.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=str(value))
    return built


def test_numbers_in_another_file(tmp_path):
    whole = from_onnx(save(classifier(), tmp_path))
    (tmp_path / "numbers.bin").write_bytes(b"skip" + normals(6, 3, 3, 3).tobytes())
    path = save(_external(classifier(), "numbers.bin", offset=4, length=648), tmp_path)
    found = from_onnx(path).params
    assert all(np.array_equal(found[name], whole.params[name]) for name in whole.params)
    refused(
        save(_external(classifier(), "numbers.bin", offset=8, length=648), tmp_path), "do not fit"
    )
    refused(save(_external(classifier(), "numbers.bin", offset=-8), tmp_path), "do not fit")
    refused(save(_external(classifier(), "none.bin"), tmp_path), "no such file")


def test_numbers_outside_of_the_folder_are_not_read(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret.bin").write_bytes(normals(6, 3, 3, 3).tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    for location in ("../secret.bin", str(tmp_path / "secret.bin"), "link.bin", ""):
        refused(save(_external(classifier(), location), folder), "outside of the model's folder")


def test_functions_that_stand_for_too_much(tmp_path):
    def function(name, calls):
        nodes = [helper.make_node(calls, ["x"], ["y"], domain="f" if calls != "Relu" else "")]
        nodes += [helper.make_node(calls, ["y"], ["z"], domain="f" if calls != "Relu" else "")]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
        return helper.make_function("f", name, ["x"], ["z"], nodes, opsets)

    built = model(
        [("F40", ["x"], ["out"], {"domain": "f"})],
        inputs={"x": ["n", 3, 8, 8]},
        outputs={"out": None},
    )
    built.opset_import.append(helper.make_opsetid("f", 1))
    for i in range(41):
        built.functions.append(function(f"F{i}", f"F{i - 1}" if i else "Relu"))
    refused(save(built, tmp_path), "stand for over")
    built.functions[0].node[0].op_type, built.functions[0].node[0].domain = "F40", "f"
    refused(save(built, tmp_path), "calls itself")


def test_pictures_that_are_none(tmp_path):
    relu = [("Relu", ["x"], ["out"], {})]
    refused(chain(relu, tmp_path, shape=["n", 3, "h", "w"]), "--input-size")
    refused(chain(relu, tmp_path, shape=["n", 192]), "has 2 axes")
    refused(chain(relu, tmp_path, shape=["n", 4, 8, 8]), "has 4 channels")
    refused(chain(relu, tmp_path, shape=["n", 3, 2**20, 2**20]), "1048576x1048576 pixels")
    refused(chain(relu, tmp_path), r"numbers of shape \(3, 8, 8\) come out")
    path = save(classifier(), tmp_path)
    refused(path, "takes 8x8 pixels", input_size=9)
    refused(path, "--input-size 8x9", input_size=(8, 9))
    refused(path, "--layout is 'hwc'", layout="hwc")
    refused(path, "--channels is 'cmyk'", channels="cmyk")
    refused(path, "--outputs is 'scores'", outputs="scores")
    refused(path, "--std is", std=0)
    refused(path, "--mean: 2 numbers", mean=[1, 2])
    refused(path, "2 labels: the network", labels=["a", "b"])
    refused(path, "cannot be read", labels=tmp_path / "none.txt")
    refused(
        save(classifier(tail=[("ArgMax", ["logits"], ["out"], {"axis": 1})]), tmp_path),
        "expected one score per class",
    )


def test_versions_that_are_not_read(tmp_path):
    refused(save(classifier(opset=6), tmp_path), "version 6 of ONNX's operators: expected 7 to")
    newest = onnx.defs.onnx_opset_version()
    refused(save(classifier(opset=newest + 1), tmp_path), f"expected 7 to {newest}")


def test_training_graphs_are_refused(tmp_path):
    constants = {name: np.ones(3, np.float32) for name in "gbmv"}
    norm = ("BatchNormalization", ["x", *"gbmv"], ["out", "", ""], {"training_mode": 1})
    refused(chain([norm], tmp_path, constants=constants), "export the network for inference")
