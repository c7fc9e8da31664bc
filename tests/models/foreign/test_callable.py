"""`from_callable`: the facts, the form of the pictures, and functions that go wrong."""

import numpy as np
import on_host
import pytest
import tiny

from qd_fool.errors import UserError
from qd_fool.models.foreign.callable import from_callable
from qd_fool.scoring.confidence import confidence_of
from qd_fool.scoring.score import score_images

PICTURES = np.random.default_rng(1).integers(0, 256, (3, 6, 6, 1), dtype=np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)


def scores(scorer, pictures=PICTURES):
    return score_images(scorer, pictures, crops=1, chunk=4)


def test_logits_give_the_scores_of_the_same_network_in_jax():
    expected = scores(tiny.linear_scorer())
    np.testing.assert_allclose(scores(on_host.plain()), expected, atol=1e-5)


def test_probabilities_are_recognised_and_give_the_same_scores():
    scorer = on_host.host_scorer(lambda x: on_host.softmax(on_host.logits(x)))
    np.testing.assert_allclose(scores(scorer), scores(on_host.plain()), atol=1e-4)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_one_probability_is_two_classes(shape):
    def positive(x):
        return (x.reshape(len(x), -1).mean(axis=1) / 255).reshape(shape)

    scorer = on_host.host_scorer(positive, class_names=["cat"], outputs="probabilities")
    assert scorer.class_names == ("not cat", "cat")
    p = PICTURES.reshape(3, -1).mean(axis=1) / 255
    found = confidence_of(scores(scorer))
    np.testing.assert_allclose(found, np.stack([1 - p, p], axis=1), atol=1e-6)


def test_a_label_that_holds_independently_has_its_own_probability():
    def labels(x):
        return on_host.sigmoid(on_host.logits(x))

    scorer = on_host.host_scorer(labels, outputs="label-probabilities")
    found = scores(scorer)
    np.testing.assert_allclose(confidence_of(found), labels(PICTURES), atol=1e-6)
    np.testing.assert_allclose(found, on_host.logits(PICTURES), atol=1e-4)
    by_logits = on_host.host_scorer(on_host.logits, outputs="label-logits")
    np.testing.assert_allclose(scores(by_logits), found, atol=1e-4)


def test_pictures_need_not_be_square():
    seen = []

    def function(x):
        seen.append(x)
        return x.reshape(len(x), -1)[:, :4].astype(np.float32)

    scorer = from_callable(function, image_shape=(4, 6, 1))
    assert (scorer.image_shape, scorer.input_size) == ((4, 6, 1), (4, 6))
    pictures = np.arange(2 * 6 * 9, dtype=np.uint8).reshape(2, 6, 9, 1)
    score_images(scorer, pictures, crops=1, chunk=2)
    np.testing.assert_array_equal(seen[-1], pictures[:, 1:5, 1:7])


def test_labels_are_numbers_where_none_are_given():
    assert on_host.host_scorer(class_names=None).class_names[:2] == ("class 0", "class 1")


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
@pytest.mark.parametrize("channels", ["rgb", "bgr"])
@pytest.mark.parametrize("mean", [None, (1.0, 2.0, 3.0)])
def test_pictures_arrive_as_the_flags_say_and_gradients_come_back(layout, channels, mean):
    seen, weights = [], np.random.default_rng(2).normal(size=(6 * 6 * 3, 4)).astype(np.float32)

    def function(x):
        seen.append(x)
        return x.reshape(len(x), -1).astype(np.float32) @ weights

    scorer = from_callable(
        function,
        image_shape=(6, 6, 3),
        gradient=lambda x, share: (share @ weights.T).reshape(x.shape),
        layout=layout,
        channels=channels,
        mean=mean,
        std=None if mean is None else 2,
    )
    before = scorer.score(COLOURS)
    expected = COLOURS[..., ::-1] if channels == "bgr" else COLOURS
    if mean is not None:
        expected = (expected.astype(np.float32) - np.asarray(mean, np.float32)) / np.float32(2)
    expected = expected.transpose(0, 3, 1, 2) if layout == "nchw" else expected
    np.testing.assert_array_equal(seen[-1], expected)
    assert seen[-1].dtype == expected.dtype
    assert seen[-1].flags.writeable
    assert seen[-1].flags.c_contiguous

    # The gradient of a linear function is the difference that one gray level makes.
    share = np.ones((2, 4), np.float32)
    slope = scorer.gradient(COLOURS, share)
    brighter = COLOURS.copy()
    brighter[:, 2, 3, 1] += 1
    change = (scorer.score(brighter) - before).sum(axis=1)
    np.testing.assert_allclose(slope[:, 2, 3, 1], change, rtol=1e-2, atol=1e-3)


def fails(x):
    raise KeyError("no weights")


@pytest.mark.parametrize(
    ("function", "sentence"),
    [
        (fails, "fails failed: KeyError: 'no weights'"),
        (lambda x: np.full((len(x), 5), np.nan), "NaN or infinite scores for 3 of 3 pictures"),
        (lambda x: np.zeros((len(x), 7, 7)), r"shape \(3, 7, 7\) for 3 pictures"),
        (lambda x: np.zeros((1, 5)), r"shape \(1, 5\) for 3 pictures"),
        (lambda x: ["a"] * len(x), "expected numbers"),
        (lambda x: [[1.0], [1.0, 2.0], [3.0]], "returned a list"),
        (lambda x: np.full((len(x), 5), 0.5), "--outputs label-probabilities if each label holds"),
        (lambda x: np.full(len(x), 0.5), "--outputs probabilities or --outputs logits"),
        (lambda x: np.zeros((len(x), 4)) - 1, "5 labels: the network of"),
    ],
)
def test_a_function_that_goes_wrong_is_one_sentence(function, sentence):
    with pytest.raises(UserError, match=sentence):
        on_host.host_scorer(function)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"image_shape": (6, 0, 1)}, "expected height, width"),
        ({"image_shape": (6, 6, 2)}, "1 or 3 channels"),
        ({"channels": "bgr"}, "takes gray pictures"),
        ({"layout": "chw"}, "--layout is 'chw'"),
        ({"outputs": "odds"}, "--outputs is 'odds'"),
        ({"outputs": "probabilities"}, "a probability is between 0 and 1"),
        ({"chunk": 0}, "chunk is 0"),
        ({"std": 0}, "--std is"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(settings, sentence):
    with pytest.raises(UserError, match=sentence):
        on_host.host_scorer(**settings)


def test_a_function_that_changes_its_mind_is_one_sentence():
    rows = iter([5, 4])
    scorer = on_host.host_scorer(lambda x: np.zeros((len(x), next(rows))) - 1)
    with pytest.raises(UserError, match="returned 4 numbers per picture: it had 5"):
        scorer.score(PICTURES)
    probable = on_host.host_scorer(
        lambda x: np.full((len(x), 5), 0.2 if len(x) == 3 and x.shape[1] == 6 else 0.3)
    )
    assert probable.score(PICTURES).shape == (3, 5)
    with pytest.raises(UserError, match=r"add up to 1\.5"):
        probable.score(PICTURES[:2])


def test_a_wrong_gradient_is_one_sentence():
    scorer = on_host.host_scorer(gradient=lambda x, share: share)
    with pytest.raises(UserError, match=r"expected floats \(3, 6, 6, 1\)"):
        scorer.gradient(PICTURES, np.ones((3, 5), np.float32))
