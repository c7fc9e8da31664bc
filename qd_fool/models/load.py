"""Load a network with its weights, ready to score pictures."""

import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from qd_fool.choices import Precision
from qd_fool.errors import UserError
from qd_fool.lazy import LazyFunction
from qd_fool.models import preprocessing, retrained
from qd_fool.models.entry import ZooEntry
from qd_fool.models.foreign.load import load_foreign
from qd_fool.models.foreign.settings import (
    OF_SERVICES,
    PictureSettings,
    check_engine,
    is_foreign,
)
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.labels import imagenet_labels
from qd_fool.models.name_map import without_wrapper
from qd_fool.models.origin import locate
from qd_fool.models.readers.read import read_weights
from qd_fool.models.scorer import Scorer
from qd_fool.models.zoo import ZOO


def load_scorer(
    name: str,
    *,
    weights: str | Path | None = None,
    mean: str | Path | None = None,
    precision: str = "float32",
    picture: PictureSettings | None = None,
) -> Scorer | HostScorer:
    """Load a network of the zoo, or a user's network, ready to score pictures.

    Args:
      name: Name of the network: "lenet", "efficientnet-lite0", "alexnet", ..., "onnx:FILE", or
        "python:FILE.py:FUNCTION" if the file was imported before.
      weights: Weights file instead of the network's own, in a format that its content shows. By
        default, published weights are downloaded into a cache at their first use.
      mean: Mean image to subtract, for the networks trained by Caffe on ImageNet.
      precision: Type of parameters and arithmetic: "float32" or "bfloat16".
      picture: Facts about the pictures that the file of a user's network does not state. A network
        of the zoo accepts none.

    Raises:
      UserError: There is no such model, or its weights are missing, unreadable, or do not fit.
    """
    if is_foreign(name):
        return load_foreign(name, weights=weights, picture=picture, precision=precision)
    for field in dataclasses.fields(PictureSettings):
        value: Any = getattr(picture, field.name, field.default)
        if value != field.default and field.name != "mean":
            flag = field.name.replace("_", "-")
            if field.name in OF_SERVICES:
                raise UserError(f"--{flag} {value} is for a network behind an address, not {name}")
            if field.name == "engine":
                check_engine(value, name)
                continue
            raise UserError(f"--{flag} {value}: the pictures of {name} are known, leave it out")
    entry = ZOO[name]
    path = locate(entry.origin, model=name) if weights is None else Path(weights)
    flat, sha256 = read_weights(path)
    source = str(weights) if weights is not None else path.name
    flat, wrapper = without_wrapper(flat, entry.shapes)
    if wrapper:
        print(f"{source}: names begin with {wrapper}: read without it", file=sys.stderr)
    return make_scorer(entry, flat, source=source, sha256=sha256, mean=mean, precision=precision)


def make_scorer(
    entry: ZooEntry,
    flat: dict[str, np.ndarray],
    *,
    source: str,
    sha256: str = "",
    mean: str | Path | None = None,
    precision: str = "float32",
) -> Scorer:
    """Make a scorer from weights that have been read already.

    The names of the arrays show whether the file is that of a retrained network, which has a class
    of fooling images behind the others.

    Args:
      entry: Entry of the zoo.
      flat: Arrays of the weights file, by name.
      source: Name of the weights file, for messages.
      sha256: SHA-256 of the weights file.
      mean: Mean image to subtract, for the networks trained by Caffe on ImageNet.
      precision: Type of parameters and arithmetic: "float32" or "bfloat16".

    Raises:
      UserError: The arrays do not fit the architecture.
    """
    more: dict[str, Any] = {}
    centre = entry.centre
    if entry.mean is not None:
        more["mean"] = np.asarray(entry.mean, np.float32)
        if mean is not None:
            more["mean"] = preprocessing.read_mean(mean, size=entry.input_size)
        elif retrained.is_retrained(flat):  # the file holds its mean
            more["mean"] = retrained.mean_of(flat, size=entry.input_size, source=source)
        # The mean is BGR, and may have one value per pixel.
        channels = more["mean"].reshape(-1, 3).mean(axis=0, dtype=np.float64)
        centre = tuple(float(value) for value in channels[::-1])
    elif mean is not None:
        raise UserError(f"--mean {mean}: {entry.name} subtracts no mean image")
    wnids, names = imagenet_labels() if entry.imagenet else ((), tuple("0123456789"))
    if retrained.is_retrained(flat):
        zeros = {name: np.zeros(shape, np.float32) for name, shape in entry.shapes.items()}
        like = entry.params_from_flat(zeros, source=source, **more)
        params = retrained.params_from_flat(
            flat, like, classes=len(names), model=entry.name, source=source
        )
    else:
        params = entry.params_from_flat(flat, source=source, **more)
    if retrained.has_new_class(params, classes=len(names)):
        names, wnids = retrained.with_new_class(names, wnids)
    apply = _imported(entry.apply)
    if precision not in get_args(Precision):
        raise UserError(
            f"precision is {precision!r}: expected one of {', '.join(get_args(Precision))}"
        )
    if precision == "bfloat16":
        params = jax.tree.map(lambda a: a.astype(jnp.bfloat16), params)
        apply = functools.partial(_in_bfloat16, apply)
    return Scorer(
        name=entry.name,
        params=params,
        apply=apply,
        preprocess=_imported(entry.preprocess),
        image_shape=entry.image_shape,
        input_size=entry.input_size,
        class_names=names,
        chunk=entry.chunk,
        accelerator_chunk=entry.accelerator_chunk,
        wnids=wnids,
        weights=source,
        weights_sha256=sha256,
        mean=centre,
    )


def _imported(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function behind a `LazyFunction`, imported now."""
    if not isinstance(function, LazyFunction):
        return function
    keywords = dict(function.keywords)
    return functools.partial(function.func, **keywords) if keywords else function.func


def _in_bfloat16(apply: Callable[..., Array], params: PyTree[Array], x: Array) -> Array:
    return apply(params, x.astype(jnp.bfloat16)).astype(jnp.float32)
