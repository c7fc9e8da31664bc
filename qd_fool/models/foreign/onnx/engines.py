"""The faster of two engines for a network, measured on this machine."""

import dataclasses
import time
from collections.abc import Callable

import jax
import numpy as np
from jax.sharding import PartitionSpec

from qd_fool.devices.chunks import map_chunks
from qd_fool.devices.mesh import AXIS, make_mesh
from qd_fool.errors import UserError
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import sides_of

ROUNDS, SECONDS = 3, 4.0
"""Highest number of measurements per engine, and seconds after which no other begins. The best one
counts."""

MOST = 64
"""Highest number of pictures per measurement on the host."""


def faster_of(
    in_jax: Callable[[], Scorer], on_host: Callable[[], HostScorer], *, rival: str
) -> Scorer | HostScorer:
    """Return the faster network. An engine that does not take the file is not measured.

    The network's `weights` say how fast both are.

    Args:
      in_jax: Function that reads the file for JAX.
      on_host: Function that makes the network on the host.
      rival: Software that runs the network on the host.

    Raises:
      UserError: No engine takes the file.
    """
    try:
        native = in_jax()
    except UserError as error:
        try:
            return on_host()
        except UserError as other:
            raise error from other
    host = on_host()
    speed, host_speed = _speed_in_jax(native), _speed_on_host(host)
    words = f"{host_speed:.0f} pictures/s; JAX: {speed:.0f}"
    if host_speed > speed:
        return dataclasses.replace(host, weights=f"{host.weights}: {words}")
    words = f"by JAX: {speed:.0f} pictures/s; {rival}: {host_speed:.0f}"
    return dataclasses.replace(native, weights=f"{native.weights}, {words}")


def _speed_in_jax(scorer: Scorer) -> float:
    """Pictures per second over all devices, in chunks as in a run."""
    mesh, split = make_mesh(), PartitionSpec(AXIS)
    on_cpu = jax.default_backend() == "cpu"
    chunk = scorer.chunk if on_cpu else scorer.accelerator_chunk
    pictures = _noise(scorer, 2 * chunk * mesh.devices.size)

    def logits(params: object, x: jax.Array) -> jax.Array:
        def one(x: jax.Array) -> jax.Array:
            return scorer.apply(params, scorer.preprocess(x.astype(np.float32)))

        return map_chunks(one, x, chunk=chunk)

    run = jax.jit(
        jax.shard_map(
            logits, mesh=mesh, in_specs=(PartitionSpec(), split), out_specs=split, check_vma=False
        )
    )
    return _best(lambda: jax.block_until_ready(run(scorer.params, pictures)), len(pictures))


def _speed_on_host(scorer: HostScorer) -> float:
    pictures = _noise(scorer, 2 * min(scorer.chunk, MOST // 2))
    halves = np.split(pictures, 2)
    return _best(lambda: [scorer.answer(half) for half in halves], len(pictures))


def _noise(scorer: Scorer | HostScorer, n: int) -> np.ndarray:
    shape = (n, *sides_of(scorer.input_size), scorer.image_shape[2])
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def _best(run: Callable[[], object], pictures: int) -> float:
    run()  # compiles
    times: list[float] = []
    for _ in range(ROUNDS):
        if sum(times) > SECONDS:
            break
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return pictures / min(times)
