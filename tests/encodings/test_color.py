import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qd_fool.encodings.color import bytes_to_pixels, floats_to_pixels, resolve_color
from qd_fool.errors import UserError


def every_color():
    """All 256^3 triples as eight pictures 4096 wide, `(512, 4096, 3)`."""
    for n in np.arange(256**3, dtype=np.uint32).reshape(8, 512, 4096):
        yield np.stack([n >> 16, (n >> 8) & 255, n & 255], axis=-1).astype(np.uint8)


to_pixels = jax.jit(bytes_to_pixels, static_argnames=("color", "channels"))


def ours(triples, color):
    planes = [triples[..., i].astype(np.int32) for i in range(3)]
    return np.asarray(to_pixels(planes, color=color, channels=3))


def test_hls_equals_opencv_in_all_colours():
    assert cv2.__version__ == "4.14.0"
    for triples in every_color():
        reference = cv2.cvtColor(triples, cv2.COLOR_HLS2BGR)[..., ::-1]
        assert np.array_equal(ours(triples, "hls"), reference)


def test_hls_is_the_same_without_jit():
    rng = np.random.default_rng(0)
    triples = rng.integers(0, 256, (20_000, 3))
    planes = [jnp.asarray(triples[:, i], jnp.int32) for i in range(3)]
    plain = bytes_to_pixels(planes, color="hls", channels=3)
    np.testing.assert_array_equal(ours(triples, "hls"), plain)


def test_hsv_is_the_exact_value_rounded():
    """In whole numbers; OpenCV truncates or rounds, by processor and width: within one of it."""
    rng = np.random.default_rng(1)
    triples = rng.integers(0, 256, (256, 4096, 3)).astype(np.uint8)
    hue, saturation, value = np.moveaxis(triples.astype(np.int64), -1, 0)
    exact = []
    for shift in (5, 3, 1):  # red, green, blue: v - v s max(0, min(k, 4 - k, 1)), k in sixths
        k = (shift * 30 + hue % 180) % 180
        t = np.clip(np.minimum(k, 120 - k), 0, 30)
        exact.append((2 * value * 7650 - 2 * value * saturation * t + 7650) / 15300)
    found = ours(triples, "hsv")
    np.testing.assert_array_equal(found, np.ceil(np.stack(exact, -1) - 1).astype(np.uint8))
    reference = cv2.cvtColor(triples, cv2.COLOR_HSV2BGR)[..., ::-1]
    assert np.abs(found.astype(int) - reference).max() <= 1


def test_hue_wraps_after_180():
    before = ours(np.array([[10, 90, 200]], np.uint8), "hls")
    np.testing.assert_array_equal(before, ours(np.array([[190, 90, 200]], np.uint8), "hls"))


@pytest.mark.parametrize("color", ["hls", "hsv", "rgb"])
def test_floats_agree_with_bytes_and_have_gradients(color):
    rng = np.random.default_rng(2)
    triples = rng.integers(1, 255, (20_000, 3))
    planes = [jnp.asarray(triples[:, i], jnp.float32) for i in range(3)]
    draw = functools.partial(floats_to_pixels, color=color, channels=3)
    unrounded = jax.jit(draw)(planes)
    assert np.abs(np.asarray(unrounded) - ours(triples, color)).max() < 0.501

    weights = jnp.array([1.0, 2.0, 4.0])

    def total(planes):
        return jnp.sum(draw(planes) * weights[None])

    for gradient in jax.jit(jax.grad(total))(planes):
        assert np.isfinite(gradient).all()
        assert np.mean(np.asarray(gradient) != 0) > 0.5


def test_gray_fills_the_channels():
    gray = bytes_to_pixels([jnp.arange(5)], color="gray", channels=3)
    np.testing.assert_array_equal(gray, np.repeat(np.arange(5)[:, None], 3, axis=1))


def test_the_originals_meaning_by_default_and_nonsense_refused():
    assert (resolve_color(None, 1), resolve_color(None, 3)) == ("gray", "hls")
    with pytest.raises(UserError, match="color is 'cmyk': expected one of gray, hls, hsv, rgb"):
        resolve_color("cmyk", 3)
    with pytest.raises(UserError, match="have 1 channel, expected gray"):
        resolve_color("hls", 1)
