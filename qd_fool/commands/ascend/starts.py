"""The starts of an ascent: the network's mean, noise, a picture, random graphs, or elites."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree, UInt8

from qd_fool.ascent.ascend import target_keys
from qd_fool.ascent.climb import mean_picture, variables_of
from qd_fool.commands.ascend.plan import AscendPlan
from qd_fool.commands.ascend.source import Source, shape_in_words
from qd_fool.errors import UserError
from qd_fool.runs.pictures import read_image

MakeStarts = Callable[[Int[np.ndarray, " n"]], tuple[PyTree[np.ndarray], np.ndarray]]
"""`indices of targets -> genomes (n, ...), values (n, size)`."""


Begin = Callable[..., tuple[PyTree[Array], Array]]
"""Function from the inputs of starts, `(chunk, ...)` each, to genomes and values."""


def make_starts(planned: AscendPlan) -> MakeStarts:
    """A function that makes the starts of some targets. A start does not depend on the others.

    Raises:
      UserError: The picture can't be read, or has another size.
    """
    chunk, classes = planned.subject.chunk, planned.classes
    if planned.source is not None:
        begin, elites = _by_chunks(_from_elites(planned, planned.source), chunk), planned.source
        return lambda targets: begin(jax.tree.map(lambda a: a[classes[targets]], elites.genomes))
    begin = _by_chunks(_from_noise(planned), chunk)
    return lambda targets: begin(classes[targets], planned.starts[targets])


def _from_elites(planned: AscendPlan, source: Source) -> Begin:
    """A function that makes starts from the genomes of elites."""
    encoding, variables = planned.subject.encoding, variables_of(planned.subject.encoding)

    def begin(genomes: PyTree[Array]) -> tuple[PyTree[Array], Array]:
        if encoding.name == "cppn":
            return genomes, variables.take(genomes)
        pictures = source.encoding.render(genomes)
        pixels = pictures.reshape(len(pictures), -1)
        return pixels, pixels.astype(jnp.float32)

    return begin


def _from_noise(planned: AscendPlan) -> Begin:
    """A function that makes starts from classes and numbers: random ones, or all the same."""
    encoding, variables = planned.subject.encoding, variables_of(planned.subject.encoding)
    start, shape = planned.config.start, encoding.image_shape
    mean = mean_picture(planned.subject.scorer, shape[2])
    origin: np.ndarray = np.broadcast_to(mean, shape).reshape(-1)
    if start not in (None, "mean", "uniform", "zero"):
        origin = _picture(Path(start or ""), shape).reshape(-1).astype(np.float32)

    def one(key: Array) -> Array:
        if start == "mean":
            return jax.random.normal(key, origin.shape, jnp.float32) + origin
        if start == "uniform":
            return jax.random.uniform(key, origin.shape, jnp.float32, 0.0, 255.0)
        return jnp.asarray(origin)

    def begin(classes: Array, starts: Array) -> tuple[PyTree[Array], Array]:
        keys = target_keys(planned.config.seed, classes, starts)
        if start is None:
            genomes = encoding.init(keys)
            return genomes, variables.take(genomes)
        values = jax.vmap(one)(keys)
        return variables.put(values, values), values

    return begin


def _by_chunks(begin: Begin, chunk: int) -> Callable[..., tuple[PyTree[np.ndarray], np.ndarray]]:
    """Make any number of starts in calls of one shape: another shape may round differently."""
    compiled = jax.jit(begin)

    def begin_all(*batch: Any) -> tuple[PyTree[np.ndarray], np.ndarray]:
        n = len(jax.tree.leaves(batch)[0])
        parts = []
        for i in range(0, n, chunk):
            rows = np.minimum(np.arange(i, i + chunk), n - 1)  # the last one fills up the chunk
            part = jax.tree.map(lambda a, rows=rows: jnp.asarray(a[rows]), batch)
            parts.append(jax.tree.map(np.asarray, compiled(*part)))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:n], *parts)

    return begin_all


def _picture(path: Path, shape: tuple[int, int, int]) -> UInt8[np.ndarray, "height width channels"]:
    if not path.exists():
        raise UserError(f"--start is {path}: expected mean, uniform, zero or the path of a picture")
    picture = read_image(path, channels=shape[2])
    if picture.shape != shape:
        raise UserError(
            f"--start {path}: it is {shape_in_words(picture.shape)}, expected "
            f"{shape_in_words(shape)}"
        )
    return picture
