"""The content decides the format; nothing is unpickled; a damaged file gives one sentence."""

import numpy as np
import pytest
import safetensors.numpy

from qd_fool.errors import UserError
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
