import dataclasses
import sys

import jax
import numpy as np
import pytest
from oracles.cppn_walker import input_grids
from oracles.graphs import cppn, drifted, mixed_ages

from qd_fool.encodings import make_encoding
from qd_fool.encodings.cppn.encoding import pixel_grid
from qd_fool.encodings.cppn.settings import CppnSettings
from qd_fool.errors import UserError

RAW = CppnSettings()
NORMALIZED = CppnSettings(coords="normalized", coords_scale=5.0)


@pytest.mark.parametrize(("settings", "name"), [(RAW, "raw"), (NORMALIZED, "normalized")])
def test_inputs_are_the_originals(settings, name):
    found = pixel_grid((20, 28), (20, 28), settings=settings)
    reference = np.stack(input_grids(28, 20, name, 5.0)).reshape(4, -1)
    np.testing.assert_array_equal(found, reference.astype(np.float32))


def test_another_size_samples_the_same_range():
    small = pixel_grid((28, 28), (28, 28), settings=RAW).reshape(4, 28, 28)
    large = pixel_grid((109, 82), (28, 28), settings=RAW).reshape(4, 109, 82)
    np.testing.assert_allclose(large[:, ::4, ::3], small, atol=1e-5)
    assert large[0].max() == small[0].max() == 27
    assert pixel_grid((1, 1), (1, 1), settings=RAW).shape == (4, 1)


def test_random_graphs_join_each_input_to_each_output():
    encoding = cppn((28, 28, 3))
    graphs = jax.device_get(encoding.init(jax.random.split(jax.random.key(0), 3000)))
    np.testing.assert_array_equal(graphs.source[0, :12], [0, 1, 2, 3] * 3)
    np.testing.assert_array_equal(graphs.target[0, :12], [61] * 4 + [62] * 4 + [63] * 4)
    assert graphs.hidden.max() == 0
    weights = graphs.weight[:, :12]
    assert abs(weights.mean()) < 3 * 20 / np.sqrt(12 * weights.size)
    assert abs(weights.std() - 20 / np.sqrt(12)) < 0.1
    counts = np.bincount(graphs.activation[:, 61:].ravel(), minlength=4)
    assert np.all(np.abs(counts - 2250) < 3 * np.sqrt(9000 * 3 / 16))


@pytest.fixture(scope="module")
def graphs():
    return mixed_ages(cppn((28, 28, 3)), 10, (0, 30))


def test_drawn_at_its_own_size_it_is_the_scored_picture(graphs):
    encoding = cppn((28, 28, 3))
    same = encoding.render_at(graphs, (28, 28))
    np.testing.assert_array_equal(same, encoding.render(graphs))


def test_a_large_drawing_is_made_in_parts(monkeypatch, graphs):
    encoding = cppn((28, 28, 3))
    whole = encoding.render_at(graphs, (50, 70))
    assert whole.shape == (20, 50, 70, 3)
    # Eight rows at a time; the last part begins before the one before it ends.
    monkeypatch.setattr(
        sys.modules["qd_fool.encodings.cppn.encoding"], "AT_ONCE", len(whole) * 70 * 8 + 1
    )
    parts = encoding.render_at(graphs, (50, 70))
    np.testing.assert_array_equal(parts, whole)


def test_mutations_multiply_what_changes():
    large = {"max_nodes": 100, "max_edges": 200}  # as `test_mutation.py` has them
    once = cppn((28, 28, 3), **large)
    thrice = cppn((28, 28, 3), **large, mutations=3)
    a, b = drifted(once, 400, 6), drifted(thrice, 400, 2)
    assert abs(a.hidden.mean() - b.hidden.mean()) < 0.35
    assert abs((a.target < 100).sum(1).mean() - (b.target < 100).sum(1).mean()) < 0.5
    # Refusals are counted over all mutations of one offspring, and not carried on.
    tight = cppn((28, 28, 1), mutations=8, max_nodes=5, max_edges=4)
    refused = drifted(tight, 400, 3).refused
    assert 1 < refused.mean() < 8


# In RGB they equal a plain walk in `test_drawing.py`.
@pytest.mark.parametrize(
    "color", ["gray", "hls", "hsv", pytest.param("rgb", marks=pytest.mark.long)]
)
def test_colours_give_pictures_of_three_channels(color):
    encoding = cppn((28, 28, 3), color=color)
    images = np.asarray(encoding.render(mixed_ages(encoding, 10, (0, 10))))
    assert images.shape == (20, 28, 28, 3)
    colored = (images.min(axis=-1) != images.max(axis=-1)).any()
    assert colored == (color != "gray")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"coords": "polar"}, "coords is 'polar': expected one of raw, normalized"),
        ({"coords_scale": 0.0}, "coords_scale is 0.0: expected more than 0"),
        ({"activations": "sine,relu"}, "activations is 'sine,relu': expected some of sine, sig"),
        ({"activations": ""}, "activations is '': expected some of sine"),
        ({"activations": "sine,sine"}, "expected each at most once"),
        ({"max_nodes": 4}, "max_nodes is 4: expected 5 to 1000"),
        ({"max_nodes": 6}, "max_nodes is 6: the first graphs, .* need 7"),
        ({"max_edges": 11}, "max_edges is 11: the first graphs, .* need 12"),
        ({"max_nodes": 1001}, "max_nodes is 1001: expected 5 to 1000"),
        ({"coords_scale": 1e39}, "coords_scale is 1e.39: expected more than 0, up to 1,000,000"),
        ({"mutations": 10**12}, "mutations is 1000000000000: expected 1 to 1000"),
        ({"mutations": 0}, "mutations is 0: expected 1 to 1000"),
        ({"color": "cmyk"}, "color is 'cmyk': expected one of"),
        ({"add_edge": 1.5}, "add_edge is 1.5: expected 0 to 1"),
        ({"eta": -1.0}, "eta is -1.0: expected 0 or more"),
        ({"genes": "int"}, "the cppn encoding has no setting 'genes': weight, activation"),
    ],
)
def test_settings_out_of_range(fields, message):
    with pytest.raises(UserError, match=message):
        make_encoding("cppn", (28, 28, 3), **fields)


def test_settings_are_plain_values():
    assert dataclasses.asdict(CppnSettings())["add_edge"] == 0.5


def test_crossover_leaves_room_for_two_parents_numbers():
    with pytest.raises(UserError, match="max_edges is 501: with crossover"):
        cppn((28, 28, 1), crossover_rate=0.5, max_edges=501)
    assert cppn((28, 28, 1), max_edges=501)
