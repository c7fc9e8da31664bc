"""Gradient ascent in memory: the original's loop, objectives, what is kept, devices."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from qd_fool.ascent.ascend import ascend, occurrences
from qd_fool.ascent.blocks import evaluations_of
from qd_fool.ascent.climb import straight_through, values_are_pixels
from qd_fool.ascent.config import PRESETS, AscentConfig
from qd_fool.ascent.objectives import Objective, read_objective, to_climb
from qd_fool.encodings import make_encoding
from qd_fool.errors import UserError
from qd_fool.models import ZOO, load_scorer
from qd_fool.models.architectures.lenet import LeNet
from qd_fool.models.load import make_scorer
from qd_fool.scoring.log_odds import log_odds

SHAPE = (28, 28, 1)
ORIGINAL = AscentConfig(
    "probability", "progress", decay=0.01, blur=0.4, blur_every=2, small_norms=20.0,
    low_abs_benefit=20.0, iterations=12, chunk=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def lenet():
    # As if it subtracted a mean, so that what is relative to it shows.
    return dataclasses.replace(load_scorer("lenet"), mean=(20.0,))


@pytest.fixture(scope="module")
def pixels():
    return make_encoding("direct", SHAPE)


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).uniform(0, 255, (3, 784)).astype(np.float32)


def original(
    look, scorer, start, target, *, n, decay, blur, blur_every, small_norms, low_abs, **progress
):
    """caffe/ascent/find_fooling_image.py in NumPy, on rounded pictures; confidences and pictures.

    Only the network and its gradient are the project's.
    """
    mean = np.float32(scorer.mean[0])
    x = start - mean
    confidences, pictures = [], []
    for i in range(n):
        x = np.clip(x + mean, 0, 255) - mean
        picture = np.round(x + mean)
        p, g = look(picture.reshape(1, *SHAPE), target)
        p, g = float(p), np.asarray(g).reshape(28, 28, 1).astype(np.float64)
        confidences.append(p)
        pictures.append(picture)
        if i == n - 1:
            break
        gain = min(progress["early"], progress["late"] * (1 - p))
        lr = min(progress["max_lr"], gain / np.linalg.norm(g) ** 2)
        x = (x.reshape(28, 28, 1) + lr * g) * (1 - decay)
        if i % blur_every == 0:
            x[..., 0] = gaussian_filter(x[..., 0], blur)
        norms = np.linalg.norm(x, axis=-1, keepdims=True)
        x = x * ~(norms < np.percentile(norms, small_norms))
        benefit = np.abs(-(g * x).sum(-1, keepdims=True))
        x = x * ~(benefit < np.percentile(benefit, low_abs))
        x = x.reshape(-1)
    return np.array(confidences), np.array(pictures), x


def test_it_is_the_originals_loop(lenet, pixels, noise):
    got = ascend(lenet, pixels, [3, 8, 1], config=ORIGINAL, values=noise, devices=1)

    def confidence_of(image, target):
        return jax.nn.sigmoid(log_odds(lenet, lenet.params, image)[0, target])

    look = jax.jit(jax.value_and_grad(confidence_of))
    for i, target in enumerate((3, 8, 1)):
        confidence, pictures, x = original(
            look, lenet, noise[i], target, n=12, decay=0.01, blur=0.4, blur_every=2, small_norms=20,
            low_abs=20, early=0.03, late=0.1, max_lr=1e12,
        )  # fmt: skip
        result = 1 / (1 + np.exp(-got.log_odds[:, i].astype(np.float64)))
        np.testing.assert_allclose(result, confidence, rtol=2e-2, atol=1e-6)
        assert np.ptp(confidence) > 0.02
        best = int(confidence.argmax())
        assert got.best_iteration[i] == best
        off = np.abs(got.genomes[i].astype(int) - pictures[best])
        assert (off > 0).mean() < 0.02
        assert got.norm[i] == pytest.approx(np.linalg.norm(x), rel=1e-2)
        moved = np.linalg.norm(x + 20 - noise[i])
        assert got.distance[i] == pytest.approx(moved, rel=1e-2)


@pytest.fixture(scope="module")
def climbed(lenet, pixels, noise):
    """With a step so long that it overshoots: the last iterate is not the best."""
    config = AscentConfig(rule="constant", lr=1e5, iterations=9, chunk=2)
    classes = [5, 0, 5]
    return classes, ascend(lenet, pixels, classes, config=config, values=noise, devices=1)


def test_the_best_iterate_is_kept_as_it_would_be_saved(lenet, pixels, climbed):
    classes, got = climbed
    assert got.genomes.dtype == np.uint8
    again = np.asarray(log_odds(lenet, lenet.params, pixels.render(jnp.asarray(got.genomes))))
    np.testing.assert_allclose(again[np.arange(3), classes], got.best_log_odds, atol=1e-4)
    np.testing.assert_array_equal(got.best_log_odds, got.log_odds.max(axis=0))
    np.testing.assert_array_equal(got.best_iteration, got.log_odds.argmax(axis=0))
    assert (got.best_iteration < 8).any()


def test_what_is_noted_is_true_of_saved_pictures(lenet, pixels, noise):
    config = dataclasses.replace(ORIGINAL, iterations=1)
    got = ascend(lenet, pixels, [1, 2, 3], config=config, values=noise, devices=1)
    rounded = np.round(noise).astype(np.uint8)
    np.testing.assert_array_equal(got.genomes, rounded)
    scores = np.asarray(log_odds(lenet, lenet.params, jnp.asarray(rounded.reshape(3, *SHAPE))))
    np.testing.assert_allclose(got.log_odds[0], scores[np.arange(3), [1, 2, 3]], atol=1e-5)
    np.testing.assert_array_equal(got.top[0], scores.argmax(axis=1) == [1, 2, 3])
    np.testing.assert_array_equal(got.distance, 0)
    wanted = np.linalg.norm(noise - 20, axis=1)
    np.testing.assert_allclose(got.norm, wanted, rtol=1e-6)


def test_devices_and_company_change_no_bit(lenet, pixels, noise):
    config = dataclasses.replace(ORIGINAL, iterations=5)
    classes = [5, 0, 7]
    one = ascend(lenet, pixels, classes, config=config, values=noise, devices=1)
    four = ascend(lenet, pixels, classes, config=config, values=noise, devices=4)
    others = ascend(lenet, pixels, [7, 0, 5], config=config, values=noise[::-1], devices=1)
    for name in ("genomes", "log_odds", "best_log_odds", "norm", "distance"):
        np.testing.assert_array_equal(getattr(one, name), getattr(four, name), err_msg=name)
    np.testing.assert_array_equal(one.genomes, others.genomes[::-1])
    np.testing.assert_array_equal(one.log_odds, others.log_odds[:, ::-1])


def test_a_target_without_gradient_stays(pixels, noise):
    """A network of zeros has none; not even decay moves it."""
    flat = {k: np.zeros(s, np.float32) for k, s in ZOO["lenet"].shapes.items()}
    dead = make_scorer(ZOO["lenet"], flat, source="zeros")
    dead = dataclasses.replace(dead, mean=(20.0,))
    got = ascend(dead, pixels, [0, 1, 2], config=ORIGINAL, values=noise, devices=1)
    np.testing.assert_array_equal(got.distance, 0)
    np.testing.assert_array_equal(got.best_iteration, 0)


def test_a_unit_is_climbed_and_its_strongest_kept(lenet, pixels, noise):
    config = AscentConfig("conv2:3,4,5", lr=8.0, iterations=5, chunk=2)
    got = ascend(lenet, pixels, [0, 0], config=config, values=noise[:2], devices=1)

    def of(genomes):
        images = jnp.asarray(genomes, jnp.float32).reshape(-1, *SHAPE)
        _, heard = LeNet().apply(
            lenet.params, lenet.preprocess(images), capture_intermediates=True,
            mutable=["intermediates"],
        )  # fmt: skip
        return np.asarray(heard["intermediates"]["conv2"]["__call__"][0])[:, 4, 5, 3]

    assert (of(got.genomes) > of(np.round(noise[:2])) + 0.5).all()


def test_what_is_climbed_has_the_objectives_gradient():
    """At log-odds of 30 p is 1 in float32, and its gradient still not 0."""
    unit_values, outputs = (
        jnp.float32([-2.0, 30.0]),
        jnp.arange(20, dtype=jnp.float32).reshape(2, 10),
    )
    classes = jnp.int32([4, 0])

    def slopes(objective):
        return jax.grad(
            lambda unit_values, outputs: to_climb(objective, unit_values, outputs, classes)[
                0
            ].sum(),
            (0, 1),
        )(unit_values, outputs)

    np.testing.assert_array_equal(slopes(Objective("log-odds"))[0], 1)
    p = 1 / (1 + np.exp(-np.float64([-2, 30])))
    wanted = [p[0] * (1 - p[0]), np.exp(-30)]
    np.testing.assert_allclose(slopes(Objective("probability"))[0], wanted, rtol=1e-5)
    of_own, of_logits = slopes(Objective("logit"))
    np.testing.assert_array_equal(of_own, 0)
    np.testing.assert_array_equal(of_logits, np.eye(10)[[4, 0]])
    assert to_climb(Objective("unit", "any", (3,)), unit_values, outputs, classes)[1].tolist() == [
        3,
        13,
    ]


@pytest.mark.parametrize(
    ("text", "output"),
    [
        ("confidence", "expected one of log-odds, probability, logit, LAYER:UNIT"),
        ("fc8:1", "lenet has no layer 'fc8', its layers are conv1, conv2, ip1, ip2"),
        ("ip2:10", "expected ip2:UNIT from 0 to 9"),
        ("conv2:3", "expected conv2:CHANNEL,ROW,COLUMN from 0,0,0 to 49,7,7"),
        ("conv2:3,8,0", "from 0,0,0 to 49,7,7"),
    ],
)
def test_objectives_that_are_none(lenet, text, output):
    with pytest.raises(UserError, match=output):
        read_objective(text, lenet)


def test_what_is_of_pixels_is_refused_for_weights(lenet):
    with pytest.raises(UserError, match="decay, blur and percentiles are for pixels"):
        ascend(lenet, make_encoding("cppn", SHAPE), [0], config=PRESETS["paper"])


def test_the_gradient_passes_through_exactly():
    smooth, exact = jnp.float32(0.1), jnp.float32(255.0)
    value, slope = jax.value_and_grad(lambda x: straight_through(x * 3, exact) ** 2)(smooth)
    assert (float(value), float(slope)) == (255.0**2, 2 * 255.0 * 3)


def test_whose_values_are_pixels():
    colour = (8, 8, 3)
    assert values_are_pixels(make_encoding("direct", SHAPE))
    assert values_are_pixels(make_encoding("direct", colour, color="rgb"))
    assert not values_are_pixels(make_encoding("direct", colour))
    assert not values_are_pixels(make_encoding("cppn", SHAPE))


def test_counting():
    assert evaluations_of(1, 7) == 28
    assert evaluations_of(60, 1) == 60 * 4
    np.testing.assert_array_equal(occurrences(np.array([3, 5, 3, 3])), [0, 0, 1, 2])


@pytest.mark.parametrize(
    ("settings", "output"),
    [
        ({"iterations": 0}, "iterations is 0: expected 1 or more"),
        ({"decay": 1.0}, "decay is 1.0: expected 0 to below 1"),
        ({"blur": 0.1}, "blur is 0.1: expected 0, or 0.3"),
        ({"small_norms": 101.0}, "small_norms is 101.0: expected 0 to 100"),
        ({"max_lr": float("nan")}, "max_lr is nan: expected more than 0"),
        ({"rule": "newton"}, "rule is 'newton': expected one of adam, progress, constant"),
    ],
)
def test_settings_that_mean_nothing(settings, output):
    with pytest.raises(UserError, match=output):
        AscentConfig(**settings)


def test_classes_that_are_none(lenet, pixels):
    with pytest.raises(UserError, match="class is 10: lenet has classes 0 to 9"):
        ascend(lenet, pixels, [3, 10])


def test_presets_are_the_originals():
    """caffe/ascent/hyperparam_search.py and run_chosen_supplementary.sh, decoded."""
    paper = PRESETS["paper"]
    assert (paper.objective, paper.rule) == ("probability", "progress")
    assert (paper.early, paper.late, paper.max_lr) == (0.03, 0.1, 1e12)
    assert (paper.decay, paper.iterations) == (0.01, 300)
    rows = {
        name: (p.decay, p.iterations, p.early, p.late, p.blur, p.blur_every, p.small_norms,
               p.low_abs_benefit)
        for name, p in PRESETS.items() if name.startswith("seed")
    }  # fmt: skip
    assert rows == {
        "seed-1": (0.0, 500, 0.02, 0.1, 0.0, 1, 0.0, 0.0),
        "seed169": (0.01, 1500, 0.03, 0.02, 0.0, 1, 0.0, 0.0),
        "seed188": (0.001, 1000, 0.03, 0.05, 0.4, 2, 0.0, 0.0),
        "seed360": (0.001, 1500, 0.03, 0.05, 0.3, 1, 20.0, 20.0),
    }
    assert {PRESETS[name].max_lr for name in rows} == {1e7}


def test_networks_know_what_they_take_for_nothing():
    def mean_of(name, **flat):
        entry = ZOO[name]
        if entry.mean is None:
            return entry.centre
        arrays = {k: np.zeros(s, np.float32) for k, s in entry.shapes.items()}
        return make_scorer(entry, arrays, source="zeros").mean

    assert mean_of("lenet") == (0.0,)
    assert mean_of("efficientnet-lite0") == (127.0, 127.0, 127.0)
    np.testing.assert_allclose(mean_of("squeezenet1.1"), (123.675, 116.28, 103.53))
    assert mean_of("squeezenet1.1-caffe") == (123.0, 117.0, 104.0)
    # What it is for: preprocessing takes it to zero.
    entry = ZOO["squeezenet1.1"]
    black = np.broadcast_to(np.float32(entry.centre), (1, 2, 2, 3))
    np.testing.assert_allclose(entry.preprocess(jnp.asarray(black)), 0, atol=1e-6)
