"""Teaching a class more: what learns, what holds, and that chunks and devices do not matter."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny import linear_scorer

from qd_fool.devices.mesh import make_mesh
from qd_fool.models.retrained import add_class, name_leaves
from qd_fool.training.finetune import (
    compile_steps,
    init_finetune,
    place_state,
    random_places,
    with_trained,
)
from qd_fool.training.finetune_batches import FinetuneRecipe, batches, shares_of_batches

SIDE, SIZE, CLASSES = 8, 6, 5
HEAD = ("head/kernel", "head/bias")


def apply(params, x):
    x = jnp.tanh(x.reshape(x.shape[0], -1) @ params["hidden"])
    return x @ params["head"]["kernel"] + params["head"]["bias"][None]


@pytest.fixture(scope="module")
def scorer():
    rng = np.random.default_rng(0)
    params = {
        "hidden": rng.normal(0, 0.3, (SIZE * SIZE, 16)).astype(np.float32),
        "head": {
            "kernel": rng.normal(0, 1, (16, CLASSES)).astype(np.float32),
            "bias": np.zeros(CLASSES, np.float32),
        },
    }
    return dataclasses.replace(
        linear_scorer(),
        params=jax.tree.map(jnp.asarray, params),
        apply=apply,
        preprocess=lambda x: x / 128 - 1,
        image_shape=(SIDE, SIDE, 1),
    )


@pytest.fixture(scope="module")
def pictures():
    """Smooth "photographs", and evolved pictures of stripes."""
    rng = np.random.default_rng(1)
    photographs = np.broadcast_to(rng.integers(0, 256, (24, 1, 1, 1)), (24, SIDE, SIDE, 1))
    stripes = np.broadcast_to(np.arange(SIDE)[None, :, None] % 2 * 255, (SIDE, SIDE, 1))
    evolved = (stripes * rng.uniform(0.5, 1, (12, 1, 1, 1))).astype(np.uint8)
    return np.ascontiguousarray(photographs, np.uint8), evolved


RECIPE = FinetuneRecipe(steps=80, batch_size=8, learning_rate=0.05)


def train(scorer, pictures, recipe, *, devices=1, at_once=8):
    """After each block of steps, the parameters and the block's log."""
    params = add_class(scorer.params, classes=CLASSES)
    state = init_finetune(params, HEAD.__contains__, recipe, seed=0)
    mesh = make_mesh(devices)
    steps = compile_steps(scorer, recipe, mesh)
    state = place_state(state, mesh)
    for images in batches(*pictures, recipe, steps=at_once, seed=0):
        state, log = steps(state, params, scorer.params, shares_of_batches(images, recipe, mesh))
        found = jax.tree.map(jnp.asarray, jax.device_get(state.trained))
        yield with_trained(params, found), jax.device_get(log)
    assert steps._cache_size() == 1


@pytest.fixture(scope="module")
def blocks(scorer, pictures):
    return list(train(scorer, pictures, RECIPE))


@pytest.fixture(scope="module")
def trained(blocks):
    """The parameters at the end, and the log of all steps."""
    return blocks[-1][0], jax.tree.map(lambda *a: np.concatenate(a), *(log for _, log in blocks))


def test_the_class_is_learnt_and_the_old_answers_are_kept(scorer, pictures, trained):
    params, log = trained
    assert log.caught[-20:].mean() > 0.9
    assert log.cross_entropy[-1] < 0.5 < 1 < log.cross_entropy[0]
    assert log.divergence[-20:].mean() < 0.5
    photographs, evolved = (
        scorer.preprocess(jnp.asarray(p[:, 1:7, 1:7], jnp.float32)) for p in pictures
    )
    assert (apply(params, evolved).argmax(axis=1) == CLASSES).mean() > 0.8
    first, now = apply(scorer.params, photographs), apply(params, photographs)
    assert (first.argmax(axis=1) == now.argmax(axis=1)).mean() > 0.7


def test_only_what_is_to_learn_does(scorer, trained):
    before, after = (
        name_leaves(p) for p in (add_class(scorer.params, classes=CLASSES), trained[0])
    )
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == set(HEAD)


def test_at_first_nothing_diverges_but_by_the_new_class(trained):
    _, log = trained
    assert 0 < log.divergence[0] < 1.5
    assert log.agreement.shape == (80,)
    assert log.agreement[0] > 0.5


def test_chunks_change_no_more_than_rounding(scorer, pictures, blocks):
    others = next(train(scorer, pictures, dataclasses.replace(RECIPE, chunk=2)))
    for a, b in zip(jax.tree.leaves(blocks[0]), jax.tree.leaves(others), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize("devices", [2, 3, 4])
def test_devices_change_no_bit(scorer, pictures, devices):
    """Though three devices share four chunks."""
    recipe = dataclasses.replace(RECIPE, chunk=2)
    alone, others = (next(train(scorer, pictures, recipe, devices=n)) for n in (1, devices))
    for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(others), strict=True):
        np.testing.assert_array_equal(a, b)


def test_each_kind_is_shown_evenly(pictures):
    photographs = np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1)
    evolved = 100 + np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1)
    recipe = FinetuneRecipe(steps=7, batch_size=4)
    parts = list(batches(photographs, evolved, recipe, steps=3, seed=0))
    assert [part.shape for part in parts] == [(n, 2, 2, 1, 1, 1) for n in (3, 3, 1)]
    shown = np.concatenate(parts)
    assert sorted(shown[:3, 0].ravel()) == sorted(shown[3:6, 0].ravel()) == list(range(6))
    assert np.bincount(shown[:6, 1].ravel())[100:].tolist() == [4, 4, 4]


def test_crops_lie_within_the_picture():
    places = jax.jit(random_places, static_argnames=("n", "room"))
    top, left, mirrored = places(jax.random.key(0), 500, room=(2, 0))
    assert (np.unique(top).tolist(), np.unique(left).tolist()) == ([0, 1, 2], [0])
    assert 0.4 < mirrored.mean() < 0.6
    assert top.shape == left.shape == mirrored.shape == (2, 500)
