"""Several networks as one: against the networks one by one."""

import dataclasses
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from qd_fool.commands.common.networks import OWN, load_networks
from qd_fool.errors import UserError
from qd_fool.models.joint import join_scorers
from qd_fool.scoring.crops import check_crops
from qd_fool.scoring.layers import layer_shapes, log_odds_and_layer
from qd_fool.scoring.log_odds import log_odds


def networks():
    """Two linear networks; the second sees only the 4x4 in the middle."""
    first = tiny.linear_scorer()
    weights = np.random.default_rng(1).normal(size=(16, tiny.CLASSES))
    second = dataclasses.replace(tiny.linear_scorer(weights), name="small", input_size=4)
    return first, second


def pictures(n=7):
    rng = np.random.default_rng(2)
    return jnp.asarray(rng.integers(0, 256, (n, tiny.SIZE, tiny.SIZE, 1)), jnp.uint8)


def scores(scorer, images):
    return np.asarray(jax.jit(lambda p, x: log_odds(scorer, p, x))(scorer.params, images))


@pytest.mark.parametrize(("rule", "combine"), [("least", np.min), ("mean", np.mean)])
def test_log_odds_are_the_least_or_the_mean_of_the_networks(rule, combine):
    first, second = networks()
    both = join_scorers([first, second], rule=rule)
    each = [scores(s, pictures()) for s in (first, second)]
    found = scores(both, pictures())
    np.testing.assert_array_equal(found, combine(np.stack(each), axis=0).astype(np.float32))
    assert both.name == "linear+small"


def test_the_gradient_is_that_of_the_least_confident_network():
    first, second = networks()
    both = join_scorers([first, second])
    x = pictures(1).astype(jnp.float32)

    def slope(scorer):
        return jax.jit(jax.value_and_grad(lambda x: log_odds(scorer, scorer.params, x)[0, 0]))(x)

    least = min(slope(first), slope(second), key=lambda found: float(found[0]))
    np.testing.assert_allclose(slope(both)[1], least[1], rtol=1e-6)


def test_one_network_stays_itself():
    first, _ = networks()
    assert join_scorers([first]) is first


def test_elites_of_a_joint_run_are_what_each_network_says_of_them():
    both = join_scorers(networks())
    scorer, encoding, config = tiny.tiny(both)
    state, _ = tiny.run(scorer, encoding, config)
    images = jax.jit(encoding.render)(state.archive.genomes)
    each = [scores(s, images) for s in both.members]
    lowest = np.min(each, axis=0)[np.arange(tiny.CLASSES), np.arange(tiny.CLASSES)]
    np.testing.assert_allclose(state.archive.fitness, lowest, rtol=1e-5, atol=1e-5)


def test_networks_that_cannot_be_fooled_at_once_are_refused():
    first, second = networks()
    with pytest.raises(UserError, match="their classes differ"):
        join_scorers([first, dataclasses.replace(second, class_names=("a", "b"))])
    with pytest.raises(UserError, match="their channels differ"):
        join_scorers([first, dataclasses.replace(second, image_shape=(6, 6, 3))])
    with pytest.raises(UserError, match="joint is 'most': expected one of least, mean"):
        join_scorers([first, second], rule="most")


def test_pictures_must_do_for_each_network():
    first, second = networks()
    both = join_scorers([second, first])
    with pytest.raises(UserError, match="images are 5x5: linear expects at least 6x6"):
        check_crops(both, (5, 5, 1), crops=1)
    assert layer_shapes(both) == {}
    with pytest.raises(UserError, match="has no layer 'conv1': it is several networks"):
        log_odds_and_layer(both, both.params, pictures(), layer="conv1")


def test_weights_are_given_in_the_order_of_the_models(tmp_path):
    with pytest.raises(UserError, match="--weights is given 1 times and --model 2 times"):
        load_networks(["lenet", "lenet-b"], [tmp_path])
    own_weights = Path(OWN)
    first, second = load_networks(["lenet", "lenet-b"], [own_weights, own_weights])
    assert (first.name, second.name) == ("lenet", "lenet-b")
    with pytest.raises(UserError, match=r"weights .*nothing: cannot be read"):
        load_networks(["lenet", "lenet-b"], [own_weights, tmp_path / "nothing"])
    with pytest.raises(UserError, match="lenet, lenet-b subtract no mean image"):
        load_networks(["lenet", "lenet-b"], [], mean=tmp_path / "mean.npy")
