"""Networks of users that give the wrong thing: one sentence, from shapes, before compiling."""

import copy
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from linear import linear_scorer
from tiny import run, tiny

from qd_fool.errors import UserError
from qd_fool.models.foreign.callable import from_callable
from qd_fool.scoring.bad import is_bad
from qd_fool.scoring.check_scorer import check_scorer
from qd_fool.scoring.log_odds import log_odds_from_logits
from qd_fool.scoring.score import score_images

LINEAR = linear_scorer()
PICTURES = np.random.default_rng(1).integers(0, 256, (4, 6, 6, 1), dtype=np.uint8)


def answering(change, **fields):
    """The linear network of three classes, with other logits."""
    apply = LINEAR.apply
    return dataclasses.replace(LINEAR, apply=lambda w, x: change(apply(w, x)), **fields)


def wrong(**fields):
    """The linear network with fields that the constructor refuses under test."""
    scorer = copy.copy(LINEAR)
    for name, value in fields.items():
        object.__setattr__(scorer, name, value)
    return scorer


def needs_rows(w, x):
    return x.reshape(x.shape[0], 27) @ w


@pytest.mark.parametrize(
    ("scorer", "sentence"),
    [
        (answering(lambda y: y[:, :2]), "apply gives (n, 2), expected logits (n, 3), one per name"),
        (answering(lambda y: jnp.tile(y, 2)), "apply gives (n, 6), expected logits (n, 3)"),
        (answering(lambda y: (y, y)), "apply gives a tuple of 2, expected logits (n, 3)"),
        (answering(lambda y: {"logits": y}), "apply gives a dict of 1, expected"),
        (answering(lambda y: y[:, None]), "apply gives (n, 1, 3), expected"),
        (answering(lambda y: y[0]), "apply gives float32 (3,) for 2 pictures, expected"),
        (answering(lambda y: y.sum()), "apply gives float32 () for 2 pictures, expected"),
        (answering(lambda y: y.astype(int)), "apply gives int32, expected logits of floats"),
        (answering(lambda y: None), "apply gives a NoneType, expected"),
        (dataclasses.replace(LINEAR, apply=needs_rows), "apply fails for float32 (2, 6, 6, 1) ("),
        (dataclasses.replace(LINEAR, preprocess=lambda x: x["no"]), "preprocess fails for float32"),
        (dataclasses.replace(LINEAR, image_shape=(6, 6, 4)), "image_shape is (6, 6, 4), expected"),
        (wrong(image_shape=(6, 6)), "image_shape is (6, 6), expected"),
        (wrong(class_names="abc"), "class_names is no tuple of texts"),
        (dataclasses.replace(LINEAR, class_names=("a",)), "class_names has 1, expected 2 or more"),
    ],
)
def test_the_sentence_names_the_field(scorer, sentence):
    with pytest.raises(UserError) as raised:
        score_images(scorer, PICTURES, crops=1, chunk=4)
    assert str(raised.value).startswith(f"linear: {sentence}")
    assert "\n" not in str(raised.value)


def test_a_network_is_checked_once_and_nothing_runs():
    calls = []
    scorer = answering(lambda y: calls.append(type(y)) or y)
    check_scorer(scorer)
    check_scorer(scorer)
    assert len(calls) == 1
    assert issubclass(calls[0], jax.core.Tracer)


def test_a_masked_class_keeps_an_empty_cell():
    scorer = tiny()[0]
    apply = scorer.apply
    masked = dataclasses.replace(
        scorer, apply=lambda w, x: apply(w, x).at[:, 3].set(-jnp.inf), name="masked"
    )
    state, log = run(*tiny(masked))
    held = np.asarray(state.archive.fitness) > -np.inf
    assert held.tolist() == [True, True, True, False, True]
    assert int(state.bad_generation) == -1
    assert log.statistics.occupied.tolist() == [4] * 7


def test_nan_for_some_pictures_only_is_recorded():
    scorer = tiny()[0]
    apply = scorer.apply

    def sometimes(w, x):
        y = apply(w, x)
        return jnp.where(y[:, 1:2] > 5, jnp.nan, y)

    state, _ = run(*tiny(dataclasses.replace(scorer, apply=sometimes, name="sometimes")))
    assert int(state.bad_generation) >= 0
    assert np.isfinite(np.asarray(state.archive.fitness)).all()


@pytest.mark.parametrize("scale", [1e10, 1e36])
def test_large_finite_logits_have_finite_log_odds(scale):
    """Compiled with the network, whose logits XLA may round in several ways."""
    weights = jnp.asarray(np.random.default_rng(0).normal(size=(36, 10)), jnp.float32)
    scorer = dataclasses.replace(
        LINEAR,
        params=weights,
        apply=lambda w, x: (x.reshape(x.shape[0], -1) @ w + 0.1) * scale,
        class_names=tuple("abcdefghij"),
    )
    pictures = np.random.default_rng(2).integers(0, 256, (64, 6, 6, 1), dtype=np.uint8)
    odds = score_images(scorer, pictures, crops=1, chunk=16)
    assert np.isfinite(odds).all()
    exact = (pictures.reshape(64, -1) / 64).astype(np.float64) @ np.asarray(weights, np.float64)
    assert (odds.argmax(axis=1) == exact.argmax(axis=1)).all()
    assert ((odds > 0).sum(axis=1) == 1).all()


def test_extreme_logits():
    rows = [
        [3e38, -3e38, 0],
        [-np.inf, 0, 1],
        [0, -np.inf, -np.inf],
        [np.nan, 0, 1],
        [np.inf, 0, 1],
    ]
    odds = np.asarray(log_odds_from_logits(jnp.asarray(rows, jnp.float32)))
    assert np.isfinite(odds[0]).all()
    assert np.isneginf(odds[1]).tolist() == [True, False, False]
    assert is_bad(odds).any(axis=1).tolist() == [False, False, True, True, True]
    assert is_bad(jnp.asarray(odds)).any(axis=1).tolist() == is_bad(odds).any(axis=1).tolist()


def test_usual_logits_keep_their_bits_and_gradients():
    """The formula without the guard, as it was."""

    def plain(logits):
        is_winner = jnp.arange(5)[None] == jnp.argmax(logits, axis=-1, keepdims=True)
        below = logits - jnp.max(logits, axis=-1, keepdims=True)
        others = jax.nn.logsumexp(below, axis=-1, keepdims=True, where=~is_winner)
        shares = jnp.exp(below)
        rest = jnp.sum(shares, axis=-1, keepdims=True) - jnp.where(is_winner, 0.0, shares)
        return below - jnp.where(is_winner, others, jnp.log(rest))

    logits = jnp.asarray(np.random.default_rng(0).normal(size=(50, 5)) * 20, jnp.float32)
    np.testing.assert_array_equal(log_odds_from_logits(logits), plain(logits))
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(50, 5)), jnp.float32)
    slopes = [jax.grad(lambda x, f=f: (f(x) * weights).sum())(logits)
              for f in (log_odds_from_logits, plain)]  # fmt: skip
    np.testing.assert_array_equal(*slopes)


def test_functions_on_the_host_may_mask_and_be_large():
    def predict(x):
        y = x.reshape(len(x), -1)[:, :3] * 1e300
        y[:, 2] = -np.inf
        return y

    scorer = from_callable(predict, image_shape=(6, 6, 1), class_names=["a", "b", "c"])
    odds = score_images(scorer, PICTURES, crops=1, chunk=4)
    assert np.isneginf(odds[:, 2]).all()
    assert not is_bad(odds).any()
