"""LeNet against a plain NumPy forward pass, PyTorch's stored outputs, and real digits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from numpy.lib.stride_tricks import sliding_window_view
from paths import FIXTURES

from qd_fool.errors import UserError
from qd_fool.models import load_scorer
from qd_fool.models.architectures.lenet import LeNet, flat_from_params, params_from_flat
from qd_fool.training.lenet import accuracy

FIXTURE = FIXTURES / "lenet_torch.npz"


def numpy_lenet(flat, images):
    """The prototxt's layers in float64, NCHW, from the definition."""

    def conv(x, w, b):
        windows = sliding_window_view(x, w.shape[2:], axis=(2, 3))
        return np.einsum("nchwij,ocij->nohw", windows, w) + b[None, :, None, None]

    def pool(x):
        return sliding_window_view(x, (2, 2), axis=(2, 3))[:, :, ::2, ::2].max((-1, -2))

    f = {k: v.astype(np.float64) for k, v in flat.items()}
    x = images.transpose(0, 3, 1, 2) / 256
    x = pool(conv(x, f["conv1.weight"], f["conv1.bias"]))
    x = pool(conv(x, f["conv2.weight"], f["conv2.bias"]))
    x = np.maximum(x.reshape(len(x), -1) @ f["ip1.weight"].T + f["ip1.bias"], 0)
    return x @ f["ip2.weight"].T + f["ip2.bias"]


@functools.partial(jax.jit, static_argnames="network")
def forward(params, x, network=LeNet()):  # noqa: B008
    return network.apply(params, x)


def logits_of(scorer, images):
    x = scorer.preprocess(jnp.asarray(images, jnp.float32))
    return np.asarray(forward(scorer.params, x))


@functools.partial(jax.jit, static_argnames="network")
def gradient(params, x, network):
    return jax.grad(lambda p: jnp.sum(network.apply(p, x) ** 2))(params)


@pytest.fixture(params=["lenet", "lenet-b"])
def scorer(request):
    return load_scorer(request.param)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)


def test_forward_equals_numpy(scorer, images):
    expected = numpy_lenet(flat_from_params(scorer.params), images)
    np.testing.assert_allclose(logits_of(scorer, images), expected, rtol=1e-4, atol=1e-4)


def test_forward_equals_pytorch():
    """Outputs that `make oracle` stored, of the shipped network on stored pictures."""
    with np.load(FIXTURE) as fixture:
        images, expected = fixture["images"], fixture["logits"]
    np.testing.assert_allclose(logits_of(load_scorer("lenet"), images), expected, atol=2e-4)


def test_training_form_computes_the_same(scorer, images):
    x = scorer.preprocess(jnp.asarray(images, jnp.float32))
    other = forward(scorer.params, x, LeNet(for_training=True))
    np.testing.assert_allclose(other, logits_of(scorer, images), rtol=1e-4, atol=1e-4)


def test_training_form_has_the_same_gradient(scorer, images):
    x = scorer.preprocess(jnp.asarray(images, jnp.float32))

    a, b = (gradient(scorer.params, x, LeNet(for_training=form)) for form in (False, True))
    for left, right in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        scale = np.abs(left).max()
        np.testing.assert_allclose(left / scale, right / scale, atol=1e-4)


def test_flat_and_params_are_inverse(scorer):
    flat = flat_from_params(scorer.params)
    again = params_from_flat(flat, source="test")
    for a, b in zip(jax.tree.leaves(scorer.params), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.pop("ip1.bias"), "no array 'ip1.bias'"),
        (
            lambda f: f.update({"conv1.weight": np.zeros((20, 1, 3, 3), np.float32)}),
            r"conv1.weight has shape \(20, 1, 3, 3\), lenet expects \(20, 1, 5, 5\)",
        ),
        (
            lambda f: f.update({"ip2.bias": np.zeros(9, np.float32)}),
            r"ip2.bias has shape \(9,\), lenet expects \(10,\)",
        ),
    ],
)
def test_weights_that_do_not_fit(scorer, change, message, tmp_path):
    flat = flat_from_params(scorer.params)
    change(flat)
    path = tmp_path / "odd.safetensors"
    safetensors.numpy.save_file(flat, path)
    with pytest.raises(UserError, match=message) as error:
        load_scorer("lenet", weights=path)
    assert "odd.safetensors" in str(error.value)


def test_shipped_networks_are_different_trainings():
    a, b = (flat_from_params(load_scorer(n).params) for n in ("lenet", "lenet-b"))
    for name in ("conv1.weight", "conv2.weight", "ip1.weight", "ip2.weight"):
        assert abs(np.corrcoef(a[name].ravel(), b[name].ravel())[0, 1]) < 0.2


def test_shipped_networks_read_digits(scorer, mnist_test):
    images, labels = mnist_test
    assert accuracy(scorer.params, images, labels, network=LeNet()) >= 0.99


def test_the_papers_lenet_reads_digits_as_measured(original_lenet, mnist_test):
    scorer = load_scorer("lenet", weights=original_lenet)
    images, labels = mnist_test
    share = accuracy(scorer.params, images, labels, network=LeNet())
    assert round(share * 100, 2) == 99.18
