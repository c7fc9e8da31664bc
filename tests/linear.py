"""A linear network, for which NumPy gives the right answers."""

import jax.numpy as jnp
import numpy as np

from qd_fool.models.scorer import Scorer


def linear_scorer(size: int = 6, channels: int = 1, classes: int = 3) -> Scorer:
    weights = np.random.default_rng(0).normal(size=(size * size * channels, classes))
    return Scorer(
        name="linear",
        params=jnp.asarray(weights, jnp.float32),
        apply=lambda w, x: x.reshape(x.shape[0], -1) @ w,
        preprocess=lambda x: x / 64,
        image_shape=(size, size, channels),
        input_size=size,
        class_names=tuple("abc"[:classes]),
        chunk=4,
    )
