"""Networks of a few numbers, and pictures that fool them, for the tests of `qd-fool transfer`."""

import csv

import jax.numpy as jnp
import numpy as np
import pytest

from qd_fool.errors import UserError


def params_from_flat(flat, *, source):
    return jnp.asarray(flat["weight"])


def apply(weight, x):
    """Sees the mean of each channel only, so that a picture's target is easily made."""
    return 40 * jnp.mean(x, axis=(1, 2)) @ weight


def directions(seed):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(3, 1000)).astype(np.float32)
    # Class 1 is red, 2 green and 3 blue, to every seed; the others stay below.
    weight *= 0.3 / np.linalg.norm(weight, axis=0)
    weight[:, 1:4] = np.eye(3) * (1.6 + 0.1 * seed)
    return weight


def picture(class_index, strength=255, side=40):
    pixels = np.zeros((side, side, 3), np.uint8)
    pixels[..., class_index - 1] = strength
    pixels[: side // 8] = 90  # outside of a's and b's centre in part
    return pixels


def refusal(call, *args, **kwargs):
    with pytest.raises(UserError) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def rows_of(out):
    with (out / "transfer.csv").open(newline="") as file:
        return list(csv.DictReader(file))
