"""The Caffe reader on files written field by field, byte by byte, and on the paper's own."""

import struct

import numpy as np
import pytest

from qd_fool.errors import UserError
from qd_fool.models.readers.caffemodel import parse_blob, parse_caffemodel
from qd_fool.models.readers.read import read_weights


def varint(n: int) -> bytes:
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number: int, payload: bytes | int) -> bytes:
    if isinstance(payload, int):
        return varint(number << 3) + varint(payload)
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def blob(array: np.ndarray, *, old: bool, packed: bool = True) -> bytes:
    if old:
        axes = (1,) * (4 - array.ndim) + array.shape
        shape = b"".join(field(i + 1, n) for i, n in enumerate(axes))
    else:
        shape = field(7, field(1, b"".join(map(varint, array.shape))))
    if packed:
        return shape + field(5, array.astype("<f4").tobytes())
    return shape + b"".join(varint(5 << 3 | 5) + struct.pack("<f", x) for x in array.ravel())


def net(layers: dict[str, list[np.ndarray]], *, old: bool, packed: bool = True) -> bytes:
    out = field(1, b"a net")
    for name, arrays in layers.items():
        blobs = [blob(a, old=old, packed=packed) for a in arrays]
        if old:
            body = field(4, name.encode()) + field(5, 4)
            out += field(2, body + b"".join(field(6, b) for b in blobs))
        else:
            body = field(1, name.encode()) + field(2, b"Convolution")
            out += field(100, body + b"".join(field(7, b) for b in blobs))
    return out


LAYERS = {
    "data": [],
    "conv1": [np.arange(24, dtype="f4").reshape(2, 1, 3, 4), np.array([1.5, -2], "f4")],
    "scale": [np.array([1.0], "f4"), np.array([2.0], "f4"), np.array([3.0], "f4")],
}


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("old", [True, False])
def test_arrays_come_back(old, packed):
    arrays = parse_caffemodel(net(LAYERS, old=old, packed=packed), source="x")
    assert set(arrays) == {"conv1.weight", "conv1.bias", "scale.weight", "scale.bias", "scale.2"}
    np.testing.assert_array_equal(arrays["conv1.weight"], LAYERS["conv1"][0])
    np.testing.assert_array_equal(arrays["conv1.bias"].ravel(), LAYERS["conv1"][1])
    assert arrays["conv1.bias"].shape == ((1, 1, 1, 2) if old else (2,))


def test_numbers_that_do_not_fill_the_shape():
    data = net({"ip": [np.zeros((2, 3), "f4")]}, old=False)
    shape = field(7, field(1, varint(2) + varint(3)))
    bad = data.replace(shape, field(7, field(1, varint(2) + varint(4))))
    with pytest.raises(UserError, match=r"layer ip holds 6 numbers for a shape of \(2, 4\)"):
        parse_caffemodel(bad, source="x")


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99, 0.9999])
def test_a_truncated_file(original_lenet, tmp_path, keep):
    data = original_lenet.read_bytes()
    path = tmp_path / "cut.caffemodel"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(UserError, match=r"cut.caffemodel"):
        read_weights(path)


@pytest.mark.parametrize(
    "data", [b"", b"hello world, this is text", b"\x80\x02}q\x00.", b"\x00" * 99]
)
def test_other_files(data, tmp_path):
    path = tmp_path / "other.bin"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"other.bin"):
        read_weights(path)


def test_the_papers_file(original_lenet):
    arrays, sha256 = read_weights(original_lenet)
    assert sha256 == "6c1c91f3bf68f48f0034756c66f769f4b6cd6a6931f713a8f7b93e3aa31f5af2"
    assert arrays["ip1.weight"].shape == (1, 1, 500, 800)
    assert sum(a.size for a in arrays.values()) == 431_080


@pytest.mark.parametrize("old", [True, False])
def test_a_blob_of_its_own(old):
    array = np.arange(12, dtype="f4").reshape(1, 1, 3, 4)
    data = blob(array, old=old)
    np.testing.assert_array_equal(parse_blob(data, source="mean"), array)
    with pytest.raises(UserError, match=r"mean: not a whole Caffe blob"):
        parse_blob(data[:-3], source="mean")


def test_the_papers_mean(original_lenet):
    """The original evaluator subtracts it before scaling; 97.39% of digits are read right then."""
    mean = original_lenet.parent / "mnist_mean.binaryproto"
    if not mean.is_file():
        pytest.skip("no mnist_mean.binaryproto beside the original LeNet")
    array = parse_blob(mean.read_bytes(), source="mean")
    assert array.shape == (1, 1, 28, 28)
    assert 0 <= array.min() < array.max() < 255
