"""Networks with a class more: the head that grows, files that come back, files that don't fit."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from qd_fool.errors import UserError
from qd_fool.models import ZOO
from qd_fool.models.architectures.lenet import flat_from_params
from qd_fool.models.labels import imagenet_labels
from qd_fool.models.load import load_scorer, make_scorer
from qd_fool.models.readers.read import read_weights
from qd_fool.models.retrained import (
    NEW_BIAS,
    NEW_CLASS,
    add_class,
    head_of,
    name_leaves,
    save_retrained,
)

HEADS = {
    "squeezenet1.1": "params/conv10",
    "squeezenet1.0-caffe": "params/conv10",
    "efficientnet-lite0": "params/dense",
}


def random_scorer(name):
    """A network of the zoo with random weights."""
    rng = np.random.default_rng(0)
    flat = {
        array: rng.uniform(0.01, 0.02, shape).astype(np.float32)
        for array, shape in ZOO[name].shapes.items()
    }
    return make_scorer(ZOO[name], flat, source="random")


@pytest.fixture(scope="module")
def squeezenet():
    return random_scorer("squeezenet1.1")


@pytest.mark.parametrize("name", HEADS)
def test_a_class_more_survives_a_file(tmp_path, name):
    scorer = random_scorer(name)
    params = add_class(scorer.params, classes=1000)
    path = tmp_path / "retrained.safetensors"
    save_retrained(path, params, model=name, classes=1000)
    loaded = load_scorer(name, weights=path)
    assert loaded.class_names == (*imagenet_labels()[1], NEW_CLASS)
    assert loaded.wnids == (*imagenet_labels()[0], NEW_CLASS)
    assert head_of(loaded.params, classes=1001) == (f"{HEADS[name]}/kernel", f"{HEADS[name]}/bias")
    wanted, found = name_leaves(params), name_leaves(loaded.params)
    assert list(wanted) == list(found)
    for leaf in wanted:
        np.testing.assert_array_equal(wanted[leaf], found[leaf], err_msg=leaf)
    contents = set()
    for _ in range(5):  # the library alone would order the metadata anew each time
        save_retrained(path, params, model=name, classes=1000)
        contents.add(path.read_bytes())
    assert len(contents) == 1
    with safetensors.safe_open(path, "numpy") as file:
        assert file.metadata() == {"model": name, "classes": "1001", "class_name": NEW_CLASS}


def test_a_network_with_two_last_layers_is_refused():
    layer = {"kernel": jnp.zeros((3, 7)), "bias": jnp.zeros(7)}
    for params, named in (({"a": layer, "b": layer}, "a/kernel, b/kernel"), ({}, "none")):
        with pytest.raises(UserError, match=f"7 outputs with kernel and bias: {named}; expected"):
            add_class(params, classes=7)


@pytest.fixture
def flat(tmp_path, squeezenet):
    path = tmp_path / "good.safetensors"
    params = add_class(squeezenet.params, classes=1000)
    save_retrained(path, params, model="squeezenet1.1", classes=1000)
    return read_weights(path)[0]


def refused(flat, model="squeezenet1.1"):
    with pytest.raises(UserError) as caught:
        make_scorer(ZOO[model], flat, source="file")
    return str(caught.value)


def test_files_that_do_not_fit_are_told_in_a_sentence(flat):
    head = "params/conv10/kernel"
    assert "no array 'params/conv10/bias'" in refused(
        {name: a for name, a in flat.items() if name != "params/conv10/bias"}
    )
    assert "'other/kernel' is no array" in refused(flat | {"other/kernel": flat[head]})
    assert "(1, 1, 512, 1000), squeezenet1.1 expects (1, 1, 512, 1001)" in refused(
        flat | {head: flat[head][..., :1000]}
    )
    assert "holds NaN" in refused(flat | {head: flat[head] * np.nan})
    assert "holds bool" in refused(flat | {head: flat[head] > 0})
    assert "conv1/bias has shape (64,), squeezenet1.0 expects" in refused(
        flat, model="squeezenet1.0"
    )
    assert "no array 'mean'" in refused(flat, model="squeezenet1.1-caffe")
    assert "is no array of alexnet" in refused(
        {"params/conv1/kernel": flat["params/conv1/kernel"]}, model="alexnet"
    )
    mean = np.full(2, 1.0, np.float32)
    assert "mean has shape (2,)" in refused(flat | {"mean": mean}, model="squeezenet1.1-caffe")
    mean = np.full(3, np.nan, np.float32)
    assert "mean holds" in refused(flat | {"mean": mean}, model="squeezenet1.1-caffe")


def test_the_mean_comes_with_the_file_unless_another_is_named(tmp_path, flat):
    entry, mean = ZOO["squeezenet1.1-caffe"], np.array([1, 2, 3], np.float32)
    scorer = make_scorer(entry, flat | {"mean": mean}, source="file")
    np.testing.assert_array_equal(scorer.params["mean"], mean)
    assert scorer.mean == (3, 2, 1)
    np.save(tmp_path / "mean.npy", np.full((3, 256, 256), 9.0))
    path = tmp_path / "mean.npy"
    scorer = make_scorer(entry, flat | {"mean": mean}, source="file", mean=path)
    assert scorer.mean == (9, 9, 9)
    assert scorer.params["mean"].shape == (227, 227, 3)


def test_alexnets_head_is_found_by_its_width():
    """Told on shapes alone, for its weights take a quarter of a gigabyte."""
    entry = ZOO["alexnet"]
    small = {"classifier.6.weight": (1000, 8), "classifier.6.bias": (1000,)}
    layer = {"kernel": jnp.zeros((8, 1000)), "bias": jnp.zeros(1000)}
    assert {name: entry.shapes[name][:1] for name in small} == {n: s[:1] for n, s in small.items()}
    params = {"features": {}, "classifier": {"fc8": layer}}
    assert head_of(params, classes=1000) == ("classifier/fc8/kernel", "classifier/fc8/bias")


def test_a_lenet_of_eleven_classes_loads_from_a_flat_file(tmp_path):
    lenet = load_scorer("lenet")
    params = add_class(lenet.params, classes=10)
    path = tmp_path / "lenet.safetensors"
    flat = flat_from_params(params)
    assert flat["ip2.weight"].shape == (11, 500)
    safetensors.numpy.save_file(flat, path)
    loaded = load_scorer("lenet", weights=path)
    assert loaded.class_names == (*"0123456789", NEW_CLASS)
    assert loaded.wnids == ()
    logits = loaded.apply(loaded.params, jnp.zeros((1, 28, 28, 1)))
    np.testing.assert_allclose(logits[0, 10], NEW_BIAS, rtol=1e-6)
    with pytest.raises(UserError, match=r"ip2.bias has shape \(10,\), lenet expects \(11,\)"):
        make_scorer(ZOO["lenet"], flat | {"ip2.bias": flat["ip2.bias"][:10]}, source="file")
    twelve = np.zeros((12, 500), np.float32)
    with pytest.raises(UserError, match=r"ip2.weight has shape \(12, 500\)"):
        make_scorer(ZOO["lenet"], flat | {"ip2.weight": twelve}, source="file")


def test_a_retrained_lenet_loads_from_a_file_of_paths(tmp_path):
    lenet = load_scorer("lenet")
    path = tmp_path / "lenet.safetensors"
    params = add_class(lenet.params, classes=10)
    save_retrained(path, params, model="lenet", classes=10)
    assert load_scorer("lenet", weights=path).class_names[-1] == NEW_CLASS
    rough = load_scorer("lenet", weights=path, precision="bfloat16")
    assert rough.params["params"]["ip2"]["bias"].dtype == jnp.bfloat16


def test_a_network_of_no_layers_has_no_new_class():
    """Other entries may have parameters of any kind."""
    entry = dataclasses.replace(
        ZOO["lenet"], params_from_flat=lambda flat, source: {"w": jnp.asarray(flat["w"])}
    )
    scorer = make_scorer(entry, {"w": np.zeros((3, 11))}, source="file")
    assert scorer.class_names == tuple("0123456789")
