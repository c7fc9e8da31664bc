"""End-to-end evaluations/s ÷ bare jitted LeNet images/s: same batch, all cores, interleaved."""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import statistics

import jax.numpy as jnp
import numpy as np
from common import interleaved, median_ratio, report
from jax.sharding import NamedSharding, PartitionSpec

from qd_fool import MapElitesConfig, load_scorer, make_encoding
from qd_fool.devices.chunks import map_chunks
from qd_fool.devices.mesh import AXIS, make_mesh, replicate
from qd_fool.map_elites.segments import make_segment
from qd_fool.map_elites.state import init

BATCH, GENERATIONS = 200, 25


def main():
    """Time the whole loop and the bare network, on one device and on all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="weights for lenet instead of the shipped ones")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--encoding", default="direct")
    parser.add_argument("--evolved", type=int, default=0, help="generations before the clock")
    parser.add_argument("--table", default="overhead", help="name of the table to write")
    arguments = parser.parse_args()
    scorer = load_scorer("lenet", weights=arguments.weights)
    encoding = make_encoding(arguments.encoding, scorer.image_shape)
    config = MapElitesConfig(batch_size=BATCH, chunk=scorer.chunk)
    mesh = make_mesh()
    segment = make_segment(scorer, encoding, config, mesh=mesh, length=GENERATIONS)
    state = replicate(init(encoding, 10, seed=0), mesh)
    params = replicate(scorer.params, mesh)
    for _ in range(0, arguments.evolved, GENERATIONS):
        state, _ = segment(state, params, np.int32(GENERATIONS))

    def end_to_end():
        nonlocal state
        state, log = segment(state, params, np.int32(GENERATIONS))
        return state, log

    images = np.random.default_rng(0).integers(0, 256, (BATCH, 28, 28, 1), dtype=np.uint8)

    def forward(p, x):
        return scorer.apply(p, scorer.preprocess(x.astype(jnp.float32)))

    def bare(devices, chunk):
        part_mesh = make_mesh(devices)
        whole, split = PartitionSpec(), PartitionSpec(AXIS)
        call = jax.jit(
            jax.shard_map(
                lambda p, x: map_chunks(lambda y: forward(p, y), x, chunk=chunk),
                mesh=part_mesh,
                in_specs=(whole, split),
                out_specs=split,
            )
        )
        p = replicate(scorer.params, part_mesh)
        x = jax.device_put(images, NamedSharding(part_mesh, split))
        return lambda: [call(p, x) for _ in range(GENERATIONS)]

    runs = {"end to end": end_to_end}
    for devices in sorted({1, CORES}):
        for chunk in sorted({50, scorer.chunk, BATCH}):
            if not BATCH // devices % chunk:
                runs[f"bare, {devices} devices, chunk {chunk}"] = bare(devices, chunk)
    seconds = interleaved(runs, rounds=arguments.rounds)
    whole_run = seconds["end to end"]
    rows = [
        {
            "what": name,
            "per second": round(BATCH * GENERATIONS / statistics.median(times)),
            "end to end ÷ this": round(median_ratio(times, whole_run), 3),
        }
        for name, times in seconds.items()
    ]
    report(
        arguments.table,
        rows,
        words=f"MAP-Elites on MNIST, {arguments.encoding} encoding, after {arguments.evolved} "
        f"generations, batch {BATCH}, chunk {scorer.chunk}, over "
        f"{CORES} devices, against the bare jitted network on the same batch. Median of "
        f"{arguments.rounds} interleaved rounds of {GENERATIONS} generations or calls.",
    )


if __name__ == "__main__":
    main()
