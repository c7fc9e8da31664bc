"""A classifier of three classes in colour, with a gradient, and photographs that it gets right."""

import dataclasses

import jax.numpy as jnp
import numpy as np

import qd_fool

LABELS = ("red", "green", "blue")
SIDE = 32


def colour_scorer(*, order=(0, 1, 2), scale=1 / 255, labels=LABELS):
    """The class is the colour of the picture's middle, if channels come in this order and scale."""
    scorer = qd_fool.load_scorer("lenet")
    classes = len(labels)

    def preprocess(x):
        return jnp.take(x, jnp.asarray(order), axis=-1) * scale

    def apply(weight, x):
        middle = x[:, SIDE // 4 : -SIDE // 4, SIDE // 4 : -SIDE // 4].mean(axis=(1, 2))
        return (middle @ weight)[:, :classes]

    weight = np.full((3, max(classes, 3)), -6.0, np.float32)
    np.fill_diagonal(weight, 12.0)
    return dataclasses.replace(
        scorer,
        name="colours",
        params=jnp.asarray(weight),
        apply=apply,
        preprocess=preprocess,
        image_shape=(SIDE, SIDE, 3),
        input_size=SIDE,
        class_names=tuple(labels),
        chunk=20,
        weights="made up",
        weights_sha256="",
        mean=(),
    )


def colour_photographs(count=90):
    """Noisy pictures of one colour, and their classes."""
    rng = np.random.default_rng(1)
    labels = np.arange(count) % 3
    images = rng.integers(60, 150, (count, SIDE, SIDE, 3), dtype=np.uint8)
    images[np.arange(count), :, :, labels] += 60
    return images, labels.astype(np.int32)
