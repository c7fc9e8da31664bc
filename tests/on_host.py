"""A linear classifier on the host, as a function of NumPy arrays."""

import functools

import numpy as np
import tiny

from qd_fool.models.foreign.callable import from_callable

LABELS = tuple("abcdefghijklmnopqrstuvwxyz"[: tiny.CLASSES])
WEIGHTS = np.asarray(tiny.random_scorer(tiny.CLASSES).params)


def logits(pictures):
    """The logits of `tiny.random_scorer`."""
    assert pictures.dtype == np.uint8
    return pictures.reshape(len(pictures), -1).astype(np.float32) / 256 @ WEIGHTS


def slopes(pictures, weights):
    """The gradient of `(weights * logits(pictures)).sum()`."""
    return (weights @ WEIGHTS.T / 256).reshape(pictures.shape)


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def host_scorer(function=logits, **settings):
    facts = {"image_shape": (tiny.SIZE, tiny.SIZE, 1), "class_names": LABELS, "chunk": 4}
    return from_callable(function, **facts | settings)


@functools.cache
def plain():
    return host_scorer()


@functools.cache
def with_gradient():
    return host_scorer(gradient=slopes)
