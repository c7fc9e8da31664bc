"""Named layers of a network, heard in the same forward pass."""

import jax.numpy as jnp
import numpy as np
import pytest

from qd_fool.errors import UserError
from qd_fool.models import load_scorer
from qd_fool.scoring.layers import layer_shapes, log_odds_and_layer
from qd_fool.scoring.log_odds import log_odds

SHAPE = (28, 28, 1)


@pytest.fixture(scope="module")
def lenet():
    return load_scorer("lenet")


def test_layers_have_names_and_outputs(lenet):
    assert layer_shapes(lenet) == {
        "conv1": (24, 24, 20), "conv2": (8, 8, 50), "ip1": (500,), "ip2": (10,),
    }  # fmt: skip
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (2, *SHAPE)), jnp.uint8)
    odds, ip1 = log_odds_and_layer(lenet, lenet.params, images, layer="ip1")
    _, logits = log_odds_and_layer(lenet, lenet.params, images)
    assert (np.asarray(ip1) < 0).any()
    layers = lenet.params["params"]
    by_hand = np.maximum(ip1, 0) @ layers["ip2"]["kernel"] + layers["ip2"]["bias"][None]
    np.testing.assert_allclose(logits, by_hand, rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(odds, log_odds(lenet, lenet.params, images))


def test_ten_crops_average_a_layer(lenet):
    """The mean over pictures that are cut by hand."""
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 30, 1), dtype=np.uint8)
    odds, ip1 = log_odds_and_layer(lenet, lenet.params, jnp.asarray(images), crops=10, layer="ip1")
    cuts = [images[:, y : y + 28, x : x + 28] for y, x in [(0, 0), (0, 2), (4, 0), (4, 2), (2, 1)]]
    cuts += [cut[:, :, ::-1] for cut in cuts]
    each = log_odds_and_layer(lenet, lenet.params, jnp.asarray(np.concatenate(cuts)), layer="ip1")
    expected = np.asarray(each[1]).reshape(10, 2, 500).mean(axis=0)
    np.testing.assert_allclose(ip1, expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(
        odds, log_odds(lenet, lenet.params, jnp.asarray(images), crops=10)
    )


def test_no_such_layer(lenet):
    images = jnp.zeros((1, *SHAPE), jnp.uint8)
    with pytest.raises(UserError, match="no layer 'fc8': its layers are conv1, conv2, ip1, ip2"):
        log_odds_and_layer(lenet, lenet.params, images, layer="fc8")
