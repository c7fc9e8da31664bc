"""The logits of any number of 8-bit pictures, for judgements that log-odds do not suffice for."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, PyTree

from qd_fool.devices.chunks import map_chunks
from qd_fool.devices.mesh import AXIS, make_mesh
from qd_fool.errors import UserError
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.network import SingleNetwork
from qd_fool.models.sides import sides_of
from qd_fool.scoring.crops import check_crops, crop_places
from qd_fool.scoring.score import SCORE_AT_ONCE

LogitsFunction = Callable[..., np.ndarray]
"""`images (n, height, width, channels) uint8 -> logits (n, classes) float32`; a network in JAX also
accepts other parameters as the argument `params`."""


def logits_function(scorer: SingleNetwork, *, chunk: int) -> LogitsFunction:
    """Return a function that gives the logits of any number of pictures, at their centre.

    The logits of a network that gives probabilities are their logarithms.

    Args:
      scorer: The network.
      chunk: Number of pictures that go through the network at once.
    """
    cut = _cut_for(scorer)
    if isinstance(scorer, HostScorer):
        return _on_host(scorer, cut, chunk=chunk)
    mesh = make_mesh()
    split, everywhere = PartitionSpec(AXIS), PartitionSpec()

    def of_chunk(params: PyTree[Array], images: Array) -> Float[Array, "n classes"]:
        return scorer.apply(params, scorer.preprocess(cut(images).astype(jnp.float32)))

    compiled = jax.jit(
        jax.shard_map(
            lambda p, x: map_chunks(lambda part: of_chunk(p, part), x, chunk=chunk),
            mesh=mesh,
            in_specs=(everywhere, split),
            out_specs=split,
            check_vma=False,
        )
    )
    least = chunk * mesh.devices.size
    step = least * max(1, SCORE_AT_ONCE // least)

    def call(images: np.ndarray, params: PyTree[Array] | None = None) -> np.ndarray:
        # All calls have one size, so that nothing recompiles and results have the same bits.
        n = len(images)
        filled = np.concatenate([images, np.repeat(images[:1], -n % step, axis=0)])
        params = scorer.params if params is None else params
        parts = [compiled(params, filled[i : i + step]) for i in range(0, n, step)]
        return _finite(np.concatenate([np.asarray(part) for part in parts])[:n], scorer)

    return call


def _cut_for(scorer: SingleNetwork) -> Callable[[Any], Any]:
    size = scorer.input_size
    high, wide = sides_of(size)

    def cut(images: Any) -> Any:
        check_crops(scorer, images.shape[1:], crops=1)
        ((top, left, _),) = crop_places(images.shape[1:], size=size, crops=1)
        return images[:, top : top + high, left : left + wide]

    return cut


def _on_host(scorer: HostScorer, cut: Callable[[Any], Any], *, chunk: int) -> LogitsFunction:
    to_logits = jax.jit(scorer.to_logits)

    def call(images: np.ndarray) -> np.ndarray:
        if scorer.check is not None:
            scorer.check(-(-len(images) // chunk))
        parts = []
        for start in range(0, len(images), chunk):
            pictures = np.ascontiguousarray(cut(images[start : start + chunk]))
            numbers = np.zeros((chunk, scorer.numbers), np.float32)
            numbers[: len(pictures)] = scorer.answer(pictures)
            parts.append(np.asarray(to_logits(numbers))[: len(pictures)])
        return _finite(np.concatenate(parts), scorer)

    return call


def _finite(logits: np.ndarray, scorer: SingleNetwork) -> np.ndarray:
    if not np.isfinite(logits).all():
        raise UserError(f"{scorer.name} ({scorer.weights}) gives NaN or infinite scores")
    return logits.astype(np.float32)
