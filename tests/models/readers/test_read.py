"""The content decides the format; nothing is unpickled; a damaged file gives one sentence."""

import json

import numpy as np
import pytest
import safetensors.numpy

from qd_fool.errors import UserError
from qd_fool.models import load_scorer
from qd_fool.models.architectures.lenet import flat_from_params
from qd_fool.models.readers.read import read_weights

ARRAYS = {"conv1.weight": np.arange(6, dtype="f4").reshape(2, 3), "conv1.bias": np.ones(2, "f4")}


def write(path, kind):
    if kind == "npz":
        with path.open("wb") as file:
            np.savez(file, **ARRAYS)
    else:
        safetensors.numpy.save_file(ARRAYS, path)


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_whatever_the_file_is_called(kind, tmp_path):
    path = tmp_path / "weights.bin"
    write(path, kind)
    arrays, _ = read_weights(path)
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)


@pytest.mark.parametrize("kind", ["npz", "safetensors"])
def test_cut_short(kind, tmp_path):
    path = tmp_path / "cut"
    write(path, kind)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=f"cut: a damaged {kind} file"):
        read_weights(path)


def test_objects_are_not_unpickled(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, a=np.array([print], dtype=object))
    with pytest.raises(UserError, match=r"damaged npz file"):
        read_weights(path)


def test_no_such_file(tmp_path):
    with pytest.raises(UserError, match=r"none.npz: cannot be read"):
        read_weights(tmp_path / "none.npz")


def short_floats(kind, data, count):
    """A safetensors file of numbers that NumPy lacks."""
    facts = {"a": {"dtype": kind, "shape": [count], "data_offsets": [0, len(data)]}}
    head = json.dumps(facts).encode()
    return len(head).to_bytes(8, "little") + head + data


@pytest.mark.parametrize(
    ("kind", "data", "numbers"),
    [
        ("BF16", np.array([0x3F80, 0xC020, 0x0001], "<u2").tobytes(), [1.0, -2.5, 2.0**-133]),
        ("F8_E4M3", bytes([0x38, 0xC4, 0x7E, 0x01]), [1.0, -3.0, 448.0, 2.0**-9]),
        ("F8_E5M2", bytes([0x3C, 0xC2, 0x7B, 0x01]), [1.0, -3.0, 57344.0, 2.0**-16]),
        ("F8_E8M0", bytes([127, 130]), [1.0, 8.0]),
        ("BOOL", bytes([0, 1, 7]), [False, True, True]),
    ],
)
def test_short_floats_are_read_exactly(tmp_path, kind, data, numbers):
    path = tmp_path / "short.safetensors"
    path.write_bytes(short_floats(kind, data, len(numbers)))
    (array,) = read_weights(path)[0].values()
    assert array.dtype == (bool if kind == "BOOL" else np.float32)
    assert array.tolist() == numbers
    path.write_bytes(short_floats("F7", data, len(numbers)))
    with pytest.raises(UserError, match=r"short.safetensors: a damaged safetensors file"):
        read_weights(path)


@pytest.mark.parametrize("wrapper", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_names_with_a_wrapper_are_read_without_it_and_it_is_said(tmp_path, capsys, wrapper):
    path = tmp_path / "wrapped.npz"
    flat = flat_from_params(load_scorer("lenet").params)
    np.savez(path, **{wrapper + name: array for name, array in flat.items()})
    scorer = load_scorer("lenet", weights=path)
    said = capsys.readouterr().err
    assert said == f"{path}: names begin with {wrapper}: read without it\n"
    for name, array in flat_from_params(scorer.params).items():
        np.testing.assert_array_equal(array, flat[name])
    # A name that has no wrapper leaves all names as they are.
    np.savez(path, **{wrapper + name: array for name, array in flat.items()}, more=np.zeros(1))
    with pytest.raises(UserError, match=r"no array 'conv1.weight'"):
        load_scorer("lenet", weights=path)
