"""The NumPy networks and the caffemodel writer that other tests rely on, tested themselves."""

import math

import numpy as np
import pytest
from oracles import caffe_nets
from oracles.caffe_nets import conv, dense, lrn, max_pool, pooled_size, random_flat
from oracles.caffemodel_writer import delimited, float32, number, text, varint, write_caffemodel

from qd_fool.errors import UserError
from qd_fool.models.readers.caffemodel import parse_caffemodel
from qd_fool.models.readers.read import read_weights

RNG = np.random.default_rng(0)


def loop_conv(x, weight, bias, *, stride, pad, group):
    n, channels, height, width = x.shape
    out_channels, fan_in, k, _ = weight.shape
    rows, columns = ((size + 2 * pad - k) // stride + 1 for size in (height, width))
    out = np.zeros((n, out_channels, rows, columns))
    for i, o, r, c in np.ndindex(out.shape):
        first = (o * group // out_channels) * (channels // group)
        total = bias[o]
        for f, dr, dc in np.ndindex(fan_in, k, k):
            y, z = r * stride + dr - pad, c * stride + dc - pad
            if 0 <= y < height and 0 <= z < width:
                total += weight[o, f, dr, dc] * x[i, first + f, y, z]
        out[i, o, r, c] = total
    return out


@pytest.mark.parametrize(
    ("k", "stride", "pad", "group"), [(1, 1, 1, 1), (3, 1, 1, 2), (3, 2, 0, 1), (5, 4, 2, 2)]
)
def test_conv_against_loops(k, stride, pad, group):
    x = RNG.standard_normal((2, 4, 9, 7))
    weight, bias = RNG.standard_normal((6, 4 // group, k, k)), RNG.standard_normal(6)
    setting = {"stride": stride, "pad": pad, "group": group}
    np.testing.assert_allclose(
        conv(x, weight, bias, **setting), loop_conv(x, weight, bias, **setting), atol=1e-12
    )


def test_conv_does_not_flip_its_kernel():
    x = np.arange(9.0).reshape(1, 1, 3, 3)
    weight = np.array([[[[1.0, 10.0], [100.0, 1000.0]]]])
    out = conv(x, weight, np.array([0.5]))
    assert out.tolist() == [[[[4310.5, 5421.5], [7643.5, 8754.5]]]]


@pytest.mark.parametrize("channels", [3, 8])
def test_conv_of_other_channels(channels):
    with pytest.raises(ValueError, match=rf"{channels} channels do not go into \(6, 2, 3, 3\)"):
        conv(np.ones((1, channels, 5, 5)), np.ones((6, 2, 3, 3)), np.ones(6), group=2)


def test_whole_numbers_would_truncate_the_weights():
    with pytest.raises(TypeError, match="uint8"):
        conv(np.ones((1, 1, 5, 5), np.uint8), np.ones((1, 1, 3, 3)), np.ones(1))
    with pytest.raises(TypeError, match="int64"):
        dense(np.ones((1, 3), np.int64), np.ones((2, 3)), np.ones(2))


def loop_pool(x, *, size, stride, pad, counts):
    height, width = x.shape[2:]
    out = np.zeros((*x.shape[:2], *counts))
    for n, channel, r, c in np.ndindex(out.shape):
        top, left = r * stride - pad, c * stride - pad
        out[n, channel, r, c] = x[
            n,
            channel,
            max(top, 0) : min(top + size, height),
            max(left, 0) : min(left + size, width),
        ].max()
    return out


# Window counts by hand: windows that start at -pad, stride - pad, ... in a line of so many pixels.
@pytest.mark.parametrize(
    ("length", "size", "stride", "pad", "by_ceil", "by_floor"),
    [
        (55, 3, 2, 0, 27, 27),  # AlexNet's: it makes no difference
        (111, 3, 2, 0, 55, 55),
        (6, 3, 2, 0, 3, 2),  # 0, 2, and 4, of which two pixels are left
        (8, 3, 2, 0, 4, 3),
        (7, 2, 2, 0, 4, 3),
        (5, 3, 3, 1, 2, 2),  # -1, 2: one at 5 would start in the padding
        (4, 2, 2, 1, 3, 3),  # -1, 1, 3
        (5, 2, 2, 1, 3, 3),  # -1, 1, 3: one at 5 would start in the padding
        (6, 3, 2, 1, 4, 3),  # -1, 1, 3, and 5, which is the last pixel
    ],
)
def test_max_pool(length, size, stride, pad, by_ceil, by_floor):
    x = RNG.standard_normal((2, 2, length, length + 1)) - 9  # below the zeros of a wrong padding
    for ceil, count in ((True, by_ceil), (False, by_floor)):
        setting = {"size": size, "stride": stride, "pad": pad}
        out = max_pool(x, ceil=ceil, **setting)
        assert out.shape[2] == count == pooled_size(length, ceil=ceil, **setting)
        np.testing.assert_array_equal(out, loop_pool(x, counts=out.shape[2:], **setting))


def test_lrn_by_hand():
    """Squares 1, 4, 9, 16, 25, 36; the sums over five of them are 14, 30, 55, 90, 86, 77."""
    x = np.arange(1.0, 7.0).reshape(1, 6, 1, 1)
    out = lrn(x, alpha=0.5, beta=0.75, k=2.0).ravel()
    for value, total, result in zip(range(1, 7), (14, 30, 55, 90, 86, 77), out, strict=True):
        assert result == pytest.approx(value / (2 + 0.1 * total) ** 0.75, rel=1e-14)


def test_lrn_against_loops():
    x = 50 * RNG.standard_normal((2, 7, 3, 2))
    out = lrn(x)
    for n, c, r, k in np.ndindex(x.shape):
        total = sum(x[n, i, r, k] ** 2 for i in range(max(c - 2, 0), min(c + 3, 7)))
        expected = x[n, c, r, k] / (1 + 1e-4 / 5 * total) ** 0.75
        assert math.isclose(out[n, c, r, k], expected, rel_tol=1e-12)


def test_dense_flattens_channel_row_column():
    x = np.arange(8.0).reshape(1, 2, 2, 2)
    weight = np.stack([np.arange(8.0), np.eye(8)[6]])  # the sixth: channel 1, row 1, column 0
    assert dense(x, weight, np.array([1.0, 0.25])).tolist() == [[141.0, 6.25]]


def test_adaptive_average():
    x = np.arange(8.0).reshape(1, 1, 1, 8)
    out = caffe_nets.adaptive_avg_pool(x, 3)[0, 0]  # columns 0-2, 2-5, 5-7
    assert out.tolist() == [[1.0, 3.5, 6.0]] * 3


@pytest.fixture(scope="module")
def caffe_flat():
    return random_flat("caffenet", seed=0)


def images(shape, *, scale):
    return (scale * np.random.default_rng(1).standard_normal(shape)).astype(np.float32)


# Mean, deviation and last of the logits that PyTorch 2.14 gets in float64 (its Conv2d, MaxPool2d
# in ceil mode and LocalResponseNorm; torchvision's own nets) for these weights and images.
BY_TORCH = {
    "caffenet": [0.938924316, 89.0737312, 78.14725757],
    "bvlc_alexnet": [1.040020154, 111.0964709, 87.00515832],
    "torchvision_alexnet": [0.3679657449, 5.856735348, -9.617402991],
    "squeezenet1.0": [1.592540758, 2.236784304, 0.9028315198],
    "squeezenet1.1": [3.411916279, 4.592015576, 1.658379026],
}


def check_against_torch(name, logits):
    (logits,) = logits
    assert logits.shape == (1000,)
    assert logits.dtype == np.float64
    assert [logits.mean(), logits.std(), logits[-1]] == pytest.approx(BY_TORCH[name], rel=1e-8)


def test_the_caffe_nets(caffe_flat):
    """The order of norm and pool is the only difference, and not a small one."""
    x = images((1, 3, 227, 227), scale=70)
    assert sum(array.size for array in caffe_flat.values()) == 60_965_224
    pool_first = caffe_nets.caffenet(caffe_flat, x)
    norm_first = caffe_nets.bvlc_alexnet(caffe_flat, x)
    check_against_torch("caffenet", pool_first)
    check_against_torch("bvlc_alexnet", norm_first)
    assert np.abs(pool_first - norm_first).max() > 0.05 * np.abs(pool_first).max()
    single = caffe_nets.caffenet(caffe_flat, x, dtype=np.float32)
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, pool_first, atol=1e-5 * np.abs(pool_first).max())


def test_torchvisions_alexnet():
    flat = random_flat("torchvision_alexnet", seed=0)
    assert sum(array.size for array in flat.values()) == 61_100_840
    logits = caffe_nets.torchvision_alexnet(flat, images((1, 3, 224, 224), scale=1))
    check_against_torch("torchvision_alexnet", logits)


@pytest.mark.parametrize(("version", "parameters"), [("1.0", 1_248_424), ("1.1", 1_235_496)])
def test_squeezenet(version, parameters):
    flat = random_flat(f"squeezenet{version}", seed=0)
    assert sum(array.size for array in flat.values()) == parameters
    x = images((1, 3, 224, 224), scale=1)
    bare = caffe_nets.squeezenet(flat, x, version=version, conv10_pad=0)
    padded = caffe_nets.squeezenet(flat, x, version=version, conv10_pad=1)
    check_against_torch(f"squeezenet{version}", bare)
    # 13x13 places of 15x15; the rim's see zeros: conv10's bias, or zero for a negative one.
    rim = np.maximum(flat["conv10.bias"].astype(np.float64), 0)
    np.testing.assert_allclose(padded, (bare * 169 + rim * 56) / 225, atol=1e-12)


def test_random_arrays_are_reproducible():
    first, again, other = (random_flat("squeezenet1.1", seed) for seed in (3, 3, 4))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not any(np.array_equal(first[name], other[name]) for name in first)
    assert {array.dtype for array in first.values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_written_file_comes_back(version, caffe_flat, tmp_path):
    """All of a real file's size: 244 MB."""
    path = tmp_path / "net.caffemodel"
    write_caffemodel(path, caffe_flat, version=version)
    assert path.stat().st_size > 4 * 60_965_224
    arrays, _ = read_weights(path)
    assert list(arrays) == list(caffe_flat)
    for name, array in caffe_flat.items():
        leading = (1,) * (4 - array.ndim) if version == "v1" else ()
        assert arrays[name].shape == leading + array.shape
        assert arrays[name].dtype == np.float32
        assert np.array_equal(arrays[name].reshape(-1).view("u4"), array.reshape(-1).view("u4"))
    path.unlink()


def test_an_unknown_version(tmp_path):
    with pytest.raises(ValueError, match="v1 or v2"):
        write_caffemodel(tmp_path / "x", {}, version="v0")
    assert not (tmp_path / "x").exists()


def one_layer(*pieces, shape=(2, 3)):
    """A V2 net whose only layer has one blob, of these pieces and a shape."""
    dims = delimited(7, *delimited(1, b"".join(map(varint, shape))))
    blob = b"".join([*pieces, *dims])
    return b"".join(delimited(100, text(1, "ip"), *delimited(7, blob)))


SIX = np.array([0.5, -1.25, 3, 1e-20, np.inf, 7], "<f4")
FLOATS, DOUBLES = SIX.tobytes(), SIX.astype("<f8").tobytes()
NO_DOUBLES = b"".join(delimited(8, b""))


@pytest.mark.parametrize(
    "pieces",
    [
        delimited(5, FLOATS),
        [*delimited(5, FLOATS[:8]), *delimited(5, FLOATS[8:])],
        [*delimited(5, FLOATS), *delimited(6, FLOATS), NO_DOUBLES],  # a snapshot with its gradients
        [float32(5, value) for value in SIX],
        delimited(8, DOUBLES),
        [varint(8 << 3 | 1) + DOUBLES[i : i + 8] for i in range(0, 48, 8)],
    ],
    ids=["packed", "in two parts", "with diff", "one by one", "double", "double, one by one"],
)
def test_the_reader_takes_each_legal_way_to_write_numbers(pieces):
    arrays = parse_caffemodel(one_layer(*pieces), source="x")
    assert list(arrays) == ["ip.weight"]
    assert arrays["ip.weight"].dtype == np.float32
    np.testing.assert_array_equal(arrays["ip.weight"], SIX.reshape(2, 3))


@pytest.mark.parametrize(("field", "data"), [(5, FLOATS + b"\0"), (8, DOUBLES[:-4])])
def test_part_of_a_number(field, data):
    with pytest.raises(UserError, match="nor a whole Caffe model"):
        parse_caffemodel(one_layer(*delimited(field, data)), source="x")


@pytest.mark.parametrize(
    ("data", "shape"),
    [(FLOATS, (2, 4)), (FLOATS, (1,) * 70 + (6,)), (b"", (0, 2**62, 2**62)), (b"", (2**32, 2**32))],
)
def test_shapes_that_no_array_can_have(data, shape):
    with pytest.raises(UserError, match="layer ip holds"):
        parse_caffemodel(one_layer(*delimited(5, data), shape=shape), source="x")


def test_a_whole_number_where_floats_belong():
    """A varint where the numbers should be is an unknown field: no numbers, and so a mismatch."""
    with pytest.raises(UserError, match=r"layer ip holds 0 numbers for a shape of \(2, 3\)"):
        parse_caffemodel(one_layer(number(5, 6)), source="x")
