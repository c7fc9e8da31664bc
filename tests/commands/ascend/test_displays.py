"""The paper's display of an ascent's pictures."""

import numpy as np
from PIL import Image

from qd_fool.commands.ascend.displays import beyond_the_mean


def test_the_papers_display_is_beside_the_plain_one(digits):
    names = sorted(path.name for path in (digits / "elites").glob("*.png"))
    assert names == sorted(path.name for path in (digits / "mean_subtracted").glob("*.png"))
    plain = np.asarray(Image.open(digits / "elites" / names[0])).astype(float)
    shown = np.asarray(Image.open(digits / "mean_subtracted" / names[0]))
    np.testing.assert_array_equal(shown, np.round(127.5 + 127.5 * plain / plain.max()))
    picture = np.full((2, 2, 3), 100, np.uint8)
    flat = beyond_the_mean(picture, np.float32([100, 100, 100]))
    assert np.unique(flat).tolist() == [128]
