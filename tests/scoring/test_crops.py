"""Crops: the original's ten places, and pictures that cannot be cut."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest
from linear import linear_scorer

from qd_fool.errors import UserError
from qd_fool.models.joint import JointScorer
from qd_fool.scoring.crops import check_crops, crop, crop_places, seen_window


def test_ten_crops_are_the_originals():
    """fit_deep_learning.hpp: corners and centre at (14, 14) of 256 for 227, and their mirrors."""
    image = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    cuts = np.stack(
        [
            crop(jnp.asarray(image), place, size=227)
            for place in crop_places(image.shape[1:], size=227, crops=10)
        ]
    )
    places = [(0, 0), (0, 29), (29, 0), (29, 29), (14, 14)]
    expected = [image[0, y : y + 227, x : x + 227] for y, x in places]
    expected += [cut[:, ::-1] for cut in expected]
    assert cuts.shape == (10, 1, 227, 227, 3)
    assert {c.tobytes() for c in cuts[:, 0]} == {
        np.ascontiguousarray(e).tobytes() for e in expected
    }


def test_centre_crop_rounds_down():
    image = jnp.arange(49).reshape(1, 7, 7, 1)
    (place,) = crop_places((7, 7, 1), size=4, crops=1)
    assert int(crop(image, place, size=4)[0, 0, 0, 0]) == 8


def test_an_input_that_is_not_square_is_cut_at_its_own_ten_places():
    image = np.arange(7 * 9, dtype=np.uint8).reshape(1, 7, 9, 1)
    places = crop_places((7, 9, 1), size=(3, 4), crops=10)
    assert places[:5] == [(0, 0, False), (0, 5, False), (4, 0, False), (4, 5, False), (2, 2, False)]
    cut = crop(jnp.asarray(image), places[9], size=(3, 4))
    np.testing.assert_array_equal(cut[0], image[0, 2:5, 2:6][:, ::-1])


def test_the_window_that_a_network_sees():
    scorer = linear_scorer()
    assert seen_window(scorer, (11, 9, 1), crops=1) == (2, 1, 6, 6)
    assert seen_window(scorer, (11, 9, 1), crops=10) is None
    assert seen_window(scorer, scorer.image_shape, crops=1) is None


def test_networks_of_two_sizes_see_two_windows():
    small, large = linear_scorer(), dataclasses.replace(linear_scorer(), input_size=7)
    for members, window in ((small, small), (2, 1, 6, 6)), ((small, large), None):
        joint = JointScorer(members, "least")
        assert seen_window(joint, (11, 9, 1), crops=1) == window


@pytest.mark.parametrize(
    ("shape", "crops", "message"),
    [
        ((6, 6, 3), 1, "images have 3 channels: linear expects 1"),
        ((6, 5, 1), 1, "images are 6x5: linear expects at least 6x6"),
        ((6, 6, 1), 10, "ten crops need images larger than the network's 6x6 input"),
        ((9, 9, 1), 3, "crops is 3: expected 1"),
    ],
)
def test_pictures_that_cannot_be_cut(shape, crops, message):
    with pytest.raises(UserError, match=message):
        check_crops(linear_scorer(), shape, crops=crops)
