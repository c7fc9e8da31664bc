"""`from_http` against a real server on loopback."""

import time

import jax
import numpy as np
import on_host
import pytest
import service as services
import tiny

import qd_fool
from qd_fool import map_elites as me
from qd_fool.devices.mesh import make_mesh
from qd_fool.errors import BudgetSpentError, PauseError, UserError
from qd_fool.map_elites.host_segments import Unfinished
from qd_fool.map_elites.segments import make_segment
from qd_fool.models.foreign.http import sender
from qd_fool.models.foreign.http.load import from_http
from qd_fool.scoring.score import score_images

PICTURES = np.random.default_rng(3).integers(0, 256, (10, 6, 6, 1), dtype=np.uint8)
VARIABLE = "A_TOKEN"
COLOURS = np.random.default_rng(3).integers(0, 256, (4, 6, 6, 3), dtype=np.uint8)


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(sender, "FIRST_PAUSE", 0.002)
    with services.running(on_host.logits) as running:
        yield running


def network(service, **settings):
    facts = {"image_shape": (6, 6, 1), "class_names": on_host.LABELS, "chunk": 3}
    return from_http(service.url, **facts | settings)


def scores(scorer, pictures=PICTURES):
    return score_images(scorer, pictures, crops=1, chunk=3)


@pytest.mark.parametrize("post", ["npy", "png"])
@pytest.mark.parametrize("form", ["json", "npy", "bare"])
def test_scores_are_those_of_the_function_itself(service, post, form):
    service.form = form
    found = scores(network(service, post=post))
    np.testing.assert_array_equal(found, scores(on_host.plain()))
    assert sorted(shape[0] for shape in service.bodies) == [1, 3, 3, 3, 3]  # no fillers


def test_colours_keep_their_order(service):
    service.function = lambda x: x.reshape(len(x), -1)[:, :3].astype(np.float32) - 300
    for post in ("npy", "png"):
        scorer = from_http(service.url, image_shape=(6, 6, 3), post=post)
        np.testing.assert_array_equal(scorer.score(COLOURS) + 300, COLOURS[:, 0, 0])


def test_requests_overlap(service):
    service.delay = 0.05
    scorer = network(service, in_flight=4)
    scores(scorer)
    assert service.most == 4


@pytest.mark.parametrize("failure", [500, 503, 429, "cut", "half"])
def test_a_failure_that_passes_is_asked_again(service, failure):
    scorer = network(service)
    service.answer = lambda number: failure if number % 3 == 0 else 200
    np.testing.assert_array_equal(scores(scorer), scores(on_host.plain()))
    assert service.sent > 5


def test_a_request_that_takes_too_long_is_asked_again(service):
    scorer = network(service, request_timeout=0.2, in_flight=1)
    slow = {2}
    service.answer = lambda number: time.sleep(0.5) or 200 if number in slow else 200
    np.testing.assert_array_equal(scores(scorer), scores(on_host.plain()))


@pytest.mark.parametrize(
    ("status", "sentence"),
    [(401, "answered 401 Unauthorized: no"), (302, "answered 302 Found"), (404, "404 Not Found")],
)
def test_a_refusal_is_not_repeated(service, status, sentence):
    service.answer = lambda number: status
    with pytest.raises(UserError, match=sentence) as caught:
        network(service)
    assert not isinstance(caught.value, PauseError)
    assert service.sent == 1


def test_a_service_that_stays_down_is_a_reason_to_pause(service):
    scorer = network(service, retries=2)
    service.answer = lambda number: 503
    with pytest.raises(PauseError, match=r"asked 3 times without an answer \(503 Service Unav"):
        scores(scorer)
    with pytest.raises(PauseError, match="was asked once without an answer"):
        from_http("http://127.0.0.1:9/", image_shape=(6, 6, 1), retries=0)


def test_answers_that_are_no_scores_are_one_sentence(service):
    for function, sentence in (
        (lambda x: np.zeros((1, 5)), r"returned an array of shape \(1, 5\) for 3 pictures"),
        (lambda x: np.full((len(x), 5), np.nan), "NaN or infinite scores"),
    ):
        service.function = function
        with pytest.raises(UserError, match=sentence):
            network(service)


def test_the_token_comes_from_the_environment_and_is_told_to_nobody(service, monkeypatch):
    monkeypatch.setenv(VARIABLE, "s3cret")
    network(service, token_env=VARIABLE)
    assert service.headers["Authorization"] == "Bearer s3cret"
    service.answer = lambda number: 403
    service.encode = None
    with pytest.raises(UserError, match="403") as caught:
        network(service, token_env=VARIABLE)
    assert "s3cret" not in str(caught.value)
    monkeypatch.setenv("BAD_TOKEN", "two words")
    for name, sentence in (("NO_TOKEN", "is not set"), ("BAD_TOKEN", "is no token")):
        with pytest.raises(UserError, match=sentence):
            network(service, token_env=name)
    with pytest.raises(UserError, match="only sent to https"):
        from_http("http://example.org/", image_shape=(6, 6, 1), token_env=VARIABLE)


def test_the_rate_is_kept(service):
    begun = time.monotonic()
    scores(network(service, rate_limit=20.0))
    assert time.monotonic() - begun >= 4 / 20


def test_the_budget_counts_repetitions(service):
    scorer = network(service, requests=4, in_flight=1)
    service.answer = lambda number: 500 if number == 3 else 200
    with pytest.raises(
        BudgetSpentError, match=r"the budget of 4 requests .* is spent: 4 were sent"
    ):
        scores(scorer)
    assert service.sent == 4


@pytest.mark.parametrize(
    ("url", "settings", "sentence"),
    [
        ("ftp://a/", {}, "is no address"),
        ("https://", {}, "is no address"),
        ("https://a:b/", {}, "is no address"),
        ("https://user:word@a/", {}, "the address of a holds a name or password"),
        ("https://a/", {"in_flight": 0}, "in_flight is 0"),
        ("https://a/", {"retries": -1}, "retries is -1"),
        ("https://a/", {"requests": 0}, "requests is 0"),
        ("https://a/", {"request_timeout": 0.0}, "--request-timeout is 0"),
        ("https://a/", {"rate_limit": -1.0}, "--rate-limit is -1"),
        ("https://a/", {"post": "xml"}, "--post is 'xml'"),
        ("https://a/", {"post": "png", "std": 2}, "--post png sends 8-bit"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(url, settings, sentence):
    with pytest.raises(UserError, match=sentence):
        from_http(url, image_shape=(6, 6, 1), **settings)


def test_a_service_that_fails_dies_and_returns_gives_the_undisturbed_archive(service):
    scorer, encoding, config = tiny.tiny(network(service, retries=1))
    rng = np.random.default_rng(0)
    mood = {"dead": False}

    def answer(number):
        if mood["dead"]:
            return 503
        return rng.choice([500, "cut", "half"]) if rng.random() < 0.1 else 200

    service.answer = answer
    segment = make_segment(scorer, encoding, config, mesh=make_mesh(1), length=8)
    state, pauses, done = me.init(encoding, tiny.CLASSES, seed=0), 0, 0
    while done < 8:
        mood["dead"] = done == 3 and not pauses  # once, after four generations
        try:
            state, log = segment(state, (), 1)
            done += len(log.id)
        except Unfinished as unfinished:
            state, pauses = unfinished.state, pauses + isinstance(unfinished.cause, PauseError)
    whole = qd_fool.evolve(on_host.plain(), encoding, generations=7, config=config)
    tiny.assert_equal(jax.device_get(state), whole)
    assert pauses >= 1
