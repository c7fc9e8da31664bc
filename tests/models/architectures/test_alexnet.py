"""The AlexNets, read from files of their formats, against a plain walk through their layers."""

import numpy as np
import pytest
from oracles import caffe_nets
from oracles.caffemodel_writer import write_caffemodel
from quick import quick_jit

from qd_fool.errors import UserError
from qd_fool.models import ZOO, load_scorer
from qd_fool.models.load import make_scorer
from qd_fool.models.preprocessing import read_mean

ORACLES = {
    "alexnet": ("torchvision_alexnet", caffe_nets.torchvision_alexnet),
    "bvlc-alexnet": ("bvlc_alexnet", caffe_nets.bvlc_alexnet),
    "caffenet": ("caffenet", caffe_nets.caffenet),
}


def logits(scorer, crops):
    """The logits of `(n, size, size, 3)` RGB in 0..255."""
    call = quick_jit(lambda p, x: scorer.apply(p, scorer.preprocess(x)))
    return np.asarray(call(scorer.params, crops))


@pytest.fixture(scope="module")
def caffe_flat():
    """Arrays for each of Caffe's two, whose shapes are the same: 244 MB, made once."""
    return caffe_nets.random_flat("caffenet", 0)


@pytest.mark.parametrize(
    "name",
    # CaffeNet differs from it in the order of two layers only.
    [pytest.param(n, marks=[pytest.mark.long] if n == "bvlc-alexnet" else []) for n in ORACLES],
)
def test_logits_equal_those_of_a_plain_walk(name, tmp_path, caffe_flat):
    """From a file once: tests of the readers have all kinds of files, in small."""
    known, oracle = ORACLES[name]
    flat = caffe_nets.random_flat(known, 0) if name == "alexnet" else caffe_flat
    if name == "caffenet":
        path = tmp_path / "weights.caffemodel"
        write_caffemodel(path, flat, version="v1")
        scorer = load_scorer(name, weights=path)
    else:
        scorer = make_scorer(ZOO[name], flat, source="random")
    size = scorer.input_size
    crops = np.random.default_rng(1).integers(0, 256, (5, size, size, 3)).astype(np.float32)
    if name == "alexnet":
        x = (crops[:2] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    else:
        x = crops[:2, ..., ::-1] - np.array([104.0, 117.0, 123.0])
    expected = oracle(flat, x.transpose(0, 3, 1, 2))
    found = logits(scorer, crops)  # five pictures: a whole chunk of the convolutions, and a rest
    assert np.abs(found[:2] - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_mean_image_is_cut_to_its_centre(tmp_path):
    """Every place of a crop gets the centre's mean, BGR, in the network's own layout."""
    mean = np.random.default_rng(0).uniform(90, 130, (3, 256, 256))
    np.save(tmp_path / "mean.npy", mean)
    cut = read_mean(tmp_path / "mean.npy", size=227)
    np.testing.assert_array_equal(
        cut, mean[:, 14:241, 14:241].transpose(1, 2, 0).astype(np.float32)
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"no array", "expected a .npy file of numbers"),
        (np.zeros((256, 256)), r"found an array of shape \(256, 256\), expected \(3, height"),
        (np.zeros((3, 99, 256)), "of at least 227 pixels"),
        (np.full((3, 256, 256), np.nan), "expected finite numbers"),
    ],
)
def test_mean_images_that_cannot_be(tmp_path, content, message):
    path = tmp_path / "mean.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(UserError, match=message):
        read_mean(path, size=227)


def test_the_original_mean_image_is_read(imagenet_weights):
    path = imagenet_weights["squeezenet1.1"].parent / "ilsvrc_2012_mean.npy"
    mean = read_mean(path, size=227)
    np.testing.assert_allclose(mean.mean(axis=(0, 1)), [104, 117, 123], atol=1.5)
