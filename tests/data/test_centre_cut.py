"""Photographs cut to inputs that are not square."""

import numpy as np
import pytest
from PIL import Image

from qd_fool.data.photographs import read_photograph


@pytest.mark.parametrize(("side", "box"), [((40, 60), (0, 4, 60, 44)), ((48, 30), (15, 0, 45, 48))])
def test_cut_to_an_input_that_is_not_square(side, box, tmp_path):
    """One side fits already, so nothing is resampled, or both sides shrink alike."""
    pixels = np.random.default_rng(0).integers(0, 256, (48, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    left, top, right, bottom = box
    found = read_photograph(tmp_path / "a.png", side=side)
    np.testing.assert_array_equal(found, pixels[top:bottom, left:right])
    half = read_photograph(tmp_path / "a.png", side=(20, 30))
    assert half.shape == (20, 30, 3)
