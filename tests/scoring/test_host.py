"""Scoring on the host: crops, networks together, gradients, and what happens meanwhile."""

import dataclasses
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import on_host
import pytest
import tiny

from qd_fool.errors import UserError
from qd_fool.models.joint import join_scorers
from qd_fool.models.network import calls_in_flight, has_gradient, is_on_host
from qd_fool.scoring.host import HostScoring
from qd_fool.scoring.log_odds import log_odds
from qd_fool.scoring.score import score_images

PICTURES = np.random.default_rng(3).integers(0, 256, (7, 8, 8, 1), dtype=np.uint8)


def small_network():
    weights = np.random.default_rng(1).normal(size=(16, tiny.CLASSES))
    return dataclasses.replace(tiny.linear_scorer(weights), name="small", input_size=4)


@pytest.mark.parametrize(
    ("makers", "crops"),
    [((on_host.with_gradient,), 10), ((small_network, on_host.with_gradient), 1)],
    ids=["host", "jax and host"],
)
def test_scores_and_gradients_are_those_of_the_network_in_jax(makers, crops):
    scorer = join_scorers([make() for make in makers])
    native = join_scorers(
        [tiny.linear_scorer() if make is on_host.with_gradient else make() for make in makers]
    )
    assert is_on_host(scorer)
    assert has_gradient(scorer)
    found = score_images(scorer, PICTURES, crops=crops, chunk=4)
    expected = score_images(native, PICTURES, crops=crops, chunk=4)
    np.testing.assert_allclose(found, expected, atol=1e-5)

    # The gradient of the log-odds of class 2.
    scoring = HostScoring(scorer, crops=crops)
    images = jnp.asarray(PICTURES[:4])
    shown = scoring.show(images)
    answers = scoring.ask(scorer.params, shown, 4)
    of_class = jax.jit(jax.grad(lambda answers: scoring.joined(answers)[0][:, 2].sum()))
    shares = of_class(answers)
    slope = scoring.image_gradient(scorer.params, images, shown, shares)
    wanted = jax.jit(
        jax.grad(lambda x: log_odds(native, native.params, x, crops=crops)[:, 2].sum())
    )(images.astype(jnp.float32))
    np.testing.assert_allclose(slope, wanted, atol=1e-6)


def test_two_networks_on_the_host_are_fooled_together():
    both = join_scorers([on_host.plain(), on_host.host_scorer(lambda x: -on_host.logits(x))])
    found = score_images(both, PICTURES, crops=1, chunk=4)
    single = score_images(on_host.plain(), PICTURES, crops=1, chunk=4)
    assert (found <= single + 1e-5).all()
    assert not has_gradient(both)


def test_no_picture_is_sent_to_fill_a_chunk():
    sent = []
    scorer = on_host.host_scorer(lambda x: sent.append(len(x)) or on_host.logits(x))
    score_images(scorer, PICTURES, crops=1, chunk=4)
    assert sent[1:] == [4, 3]  # after the noise


def test_the_next_chunk_is_drawn_before_the_network_answers():
    events = []
    scorer = on_host.host_scorer(lambda x: events.append("asked") or on_host.logits(x))
    scoring = HostScoring(scorer, crops=1)
    images = jnp.asarray(PICTURES[:4, :6, :6])

    def draw(i):
        events.append("drawn")
        return scoring.show(images)

    events.clear()
    scoring.score_chunks((), draw, [4, 4, 4])
    assert events == ["drawn", "drawn", "asked", "drawn", "asked", "asked"]


def test_calls_in_flight_overlap_and_keep_their_order():
    most, now, lock = 0, 0, threading.Lock()

    def slow(x):
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02 if x[0, 0, 0, 0] % 2 else 0.001)
        with lock:
            now -= 1
        return on_host.logits(x)

    scorer = dataclasses.replace(on_host.host_scorer(slow), in_flight=3)
    assert calls_in_flight(scorer) == 3
    pictures = np.concatenate([PICTURES[:, :6, :6]] * 4)
    found = score_images(scorer, pictures, crops=1, chunk=2)
    expected = score_images(on_host.plain(), pictures, crops=1, chunk=2)
    np.testing.assert_array_equal(found, expected)
    assert most == 3


def test_a_failure_among_calls_in_flight_ends_the_others():
    cancelled = []

    def fail(x):
        if x.shape[0] == 2:
            raise RuntimeError("down")
        return on_host.logits(x)

    scorer = dataclasses.replace(
        on_host.host_scorer(fail), in_flight=2, cancel=lambda: cancelled.append(1)
    )
    with pytest.raises(UserError, match="RuntimeError: down"):
        score_images(scorer, PICTURES[:, :6, :6], crops=1, chunk=2)
    assert cancelled == [1]


def test_no_jax_function_scores_with_it():
    with pytest.raises(UserError, match="runs outside JAX"):
        log_odds(on_host.plain(), (), jnp.asarray(PICTURES))
