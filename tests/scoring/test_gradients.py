"""Gradients of the whole line, genome to log-odds, against float64 differences of plain NumPy.

Nothing of the oracle is shared with what it checks: the walker draws the CPPN, without the byte
cast; ten crops are cut by hand; LeNet is written from the definition.

Max-pooling, ReLU and the mirroring of negative values have kinks, where a difference is no
derivative. So the oracle also tells which side of each kink a picture is on, and a difference
counts only if all of them are the same at both its ends.
"""

import colorsys
import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from oracles.cppn_walker import walk
from oracles.graphs import cppn, mixed_ages

from qd_fool.models import load_scorer
from qd_fool.models.architectures.lenet import flat_from_params
from qd_fool.scoring.log_odds import log_odds

SIDE, INPUT = 32, 28


@pytest.fixture(scope="module")
def scorer():
    return load_scorer("lenet")


def ten_crops(images):
    """`(n, SIDE, SIDE)` to `(n, 10, INPUT, INPUT)`."""
    far = SIDE - INPUT
    corners = [(0, 0), (0, far), (far, 0), (far, far), (far // 2, far // 2)]
    cuts = [images[:, y : y + INPUT, x : x + INPUT] for y, x in corners]
    return np.stack(cuts + [cut[:, :, ::-1] for cut in cuts], axis=1)


def lenet(flat, images):
    """`(n, 28, 28)` in 0..255 to logits, and the side of each kink: float64, from the prototxt."""
    sides = []

    def conv(x, name):
        kernel = flat[f"{name}.weight"]
        windows = sliding_window_view(x, kernel.shape[2:], axis=(2, 3))
        out = np.tensordot(windows, kernel, ([1, 4, 5], [1, 2, 3])) + flat[f"{name}.bias"]
        return out.transpose(0, 3, 1, 2)

    def pool(x):
        n, maps, height, width = x.shape
        x = x.reshape(n, maps, height // 2, 2, width // 2, 2).transpose(0, 1, 2, 4, 3, 5)
        x = x.reshape(n, maps, height // 2, width // 2, 4)
        sides.append(x.argmax(-1).reshape(n, -1))
        return x.max(-1)

    x = pool(conv(images[:, None] / 256, "conv1"))
    x = pool(conv(x, "conv2")).reshape(len(images), -1)
    x = x @ flat["ip1.weight"].T + flat["ip1.bias"]
    sides.append(x > 0)
    logits = np.maximum(x, 0) @ flat["ip2.weight"].T + flat["ip2.bias"]
    return logits, np.concatenate(sides, axis=1)


def oracle(scorer, images, target):
    """Log-odds of the mean confidence in one class, `(n,)`, and the sides `(n, kinks)`."""
    flat = {k: v.astype(np.float64) for k, v in flat_from_params(scorer.params).items()}
    crops = ten_crops(images)
    logits, sides = lenet(flat, crops.reshape(-1, INPUT, INPUT))
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    mean = shares.reshape(len(images), 10, -1).mean(axis=1)
    odds = mean[:, target] / np.delete(mean, target, axis=1).sum(axis=1)
    return np.log(odds), sides.reshape(len(images), -1)


def differences(values, sides, step):
    """Central differences from `(2 m,)`, ups before downs, and whether no kink is in between."""
    up, down = np.split(values, 2)
    smooth = (np.split(sides, 2)[0] == np.split(sides, 2)[1]).all(axis=1)
    return (up - down) / (2 * step), smooth


def test_gradient_with_respect_to_pixels(scorer):
    rng = np.random.default_rng(0)
    images = rng.uniform(0, 255, (4, SIDE, SIDE)).astype(np.float32)

    def score(x):
        odds = log_odds(scorer, scorer.params, x[..., None], crops=10)
        return jnp.sum(odds[jnp.arange(4), jnp.arange(4)])

    gradient = np.asarray(jax.jit(jax.grad(score))(jnp.asarray(images)), float)
    step = 1e-3
    for i in range(4):
        # Single pixels, and directions in which all of them move.
        pixels = np.zeros((20, SIDE * SIDE))
        pixels[np.arange(20), rng.choice(SIDE * SIDE, 20, replace=False)] = 1
        ways = np.concatenate([pixels.reshape(-1, SIDE, SIDE), rng.normal(size=(10, SIDE, SIDE))])
        moved = images[i].astype(float) + step * np.concatenate([ways, -ways])
        slopes, smooth = differences(*oracle(scorer, moved, i), step)
        found = np.sum(ways * gradient[i], axis=(1, 2))
        found, wanted = found[smooth], slopes[smooth]
        assert smooth.mean() > 0.8
        assert np.linalg.norm(found - wanted) < 1e-3 * np.linalg.norm(wanted)


def moved_graphs(graph, step):
    """The graph with each weight moved, all ups before all downs."""
    for sign in (1, -1):
        for k in range(len(graph["edges"])):
            other = copy.deepcopy(graph)
            other["edges"][k]["weight"] += sign * step
            yield other


def test_gradient_with_respect_to_the_weights_of_a_cppn(scorer):
    encoding = cppn((SIDE, SIDE, 1))
    genomes = mixed_ages(encoding, 10, (5, 30))
    count = len(genomes.hidden)

    def score(weight):
        images = encoding.variables.draw(genomes, weight)
        odds = log_odds(scorer, scorer.params, images, crops=10)
        return jnp.sum(odds[jnp.arange(count), jnp.arange(count) % 10])

    gradients = np.asarray(jax.jit(jax.grad(score))(jnp.asarray(genomes.weight)), float)
    assert np.isfinite(gradients).all()

    step = 1e-8
    shares = []
    # The others are flat, or saturated: float64's rounding, 1e-15 / step, is all that they show.
    steep = np.flatnonzero(np.linalg.norm(gradients, axis=1) > 0.1)
    assert len(steep) >= 8
    for i in steep[:: len(steep) // 6].tolist():
        graph = encoding.describe(genomes, i)
        moved = np.array([walk(g, SIDE, SIDE)[..., 0] for g in moved_graphs(graph, step)])
        values, sides = oracle(scorer, 255 * np.abs(moved), i % 10)
        signs = np.sign(moved).reshape(len(moved), -1)
        slopes, smooth = differences(values, np.concatenate([sides, signs], axis=1), step)
        found, wanted = gradients[i, : len(slopes)][smooth], slopes[smooth]
        assert np.linalg.norm(found - wanted) < 1e-3 * np.linalg.norm(wanted)
        shares.append(smooth.mean())
    assert np.mean(shares) > 0.9


def colors(planes):
    """`(height, width, 3)` hue, lightness and saturation in 0..255 to RGB in 0..255, float64."""
    pixels = planes.reshape(-1, 3)
    rgb = [colorsys.hls_to_rgb(h / 180 % 1, li / 255, s / 255) for h, li, s in pixels]
    return 255 * np.array(rgb).reshape(planes.shape)


@pytest.mark.parametrize("channels", [1, pytest.param(3, marks=pytest.mark.long)])
def test_gradient_of_a_drawing(channels):
    """A fixed linear functional: finite for 500 genomes, right for some; gray and HLS."""
    encoding = cppn((28, 28, channels))
    # Populations of a size that tests of rendering compile too.
    per_age = {1: 10, 3: 6}[channels]
    parts = [
        mixed_ages(encoding, per_age, range(0, 201, 8), seed=seed)
        for seed in range(0, 100 * -(-500 // (26 * per_age)), 100)
    ]
    genomes = jax.tree.map(lambda *a: np.concatenate(a)[:500], *parts)
    assert len(genomes.hidden) == 500
    rng = np.random.default_rng(0)
    pull = rng.normal(size=(len(genomes.hidden), 28, 28, channels)).astype(np.float32)

    # Eight that are not flat. No pull at kinks: where a value changes its sign, hue its sextant,
    # lightness passes the middle.
    graphs = {}
    for i in range(0, 500, 3):
        graph = encoding.describe(genomes, i)
        v = np.abs(walk(graph, 28, 28))
        near = (v < 1e-3).any(axis=2)
        if channels == 3:
            sextant, light = v[..., 0] * 255 / 30, v[..., 1]
            near |= (np.abs(sextant - np.round(sextant)) < 1e-3) | (np.abs(light - 0.5) < 1e-3)
        if near.mean() < 0.5 and v.std(axis=(0, 1)).min() > 0.05:
            graphs[i] = graph
            pull[i, near] = 0
        if len(graphs) == 8:
            break

    def score(weight):
        return jnp.sum(encoding.variables.draw(genomes, weight) * pull)

    gradients = np.asarray(jax.jit(jax.grad(score))(jnp.asarray(genomes.weight)), float)
    assert np.isfinite(gradients).all()
    assert np.mean(gradients.any(axis=1)) > 0.5

    step = 1e-7
    errors = []
    for i, graph in graphs.items():
        pictures = [255 * np.abs(walk(g, 28, 28)) for g in moved_graphs(graph, step)]
        if channels == 3:
            pictures = [colors(picture) for picture in pictures]
        up, down = np.split(np.sum(pictures * pull[i][None], axis=(1, 2, 3)), 2)
        wanted = (up - down) / (2 * step)
        gap = np.linalg.norm(gradients[i, : len(wanted)] - wanted)
        errors.append(gap / np.linalg.norm(wanted))
    assert len(errors) == 8
    assert np.median(errors) < 1e-4
    assert np.max(errors) < 1e-3
