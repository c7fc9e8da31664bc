"""End-to-end evaluations/s ÷ bare jitted network images/s on ImageNet: all cores, interleaved."""

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


def main():
    """Time whole generations and the bare network, for each encoding and number of crops."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="squeezenet1.1")
    parser.add_argument("--weights", help="weights for the model instead of its own")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--evolved", type=int, default=10, help="generations before the clock")
    parser.add_argument("--runs", default="cppn:1,cppn:10,direct:1", help="encoding:crops, ...")
    parser.add_argument("--table", default="imagenet_overhead", help="name of the table to write")
    arguments = parser.parse_args()
    scorer = load_scorer(arguments.model, weights=arguments.weights)
    mesh = make_mesh()
    params = replicate(scorer.params, mesh)
    rows = []
    for run in arguments.runs.split(","):
        encoding_name, crops = run.split(":")
        rows += measure(scorer, params, mesh, encoding_name, int(crops), arguments)
    report(
        arguments.table,
        rows,
        words=f"MAP-Elites against {scorer.name}, {len(scorer.class_names)} cells, pictures of "
        f"{'x'.join(map(str, scorer.image_shape))}, after {arguments.evolved} generations, against "
        f"the bare jitted network on crops of {scorer.input_size} pixels, over {CORES} devices. "
        f"Median of {arguments.rounds} interleaved rounds; `ratio` is the median over rounds "
        "of the ratio to the fastest bare form. A picture with ten crops counts as ten of the "
        "network.",
    )


def measure(scorer, params, mesh, name, crops, arguments):
    """The row of an encoding: its generations and the network alone."""
    batch = {"cppn": 400, "direct": 200}[name] // (5 if crops == 10 else 1)
    encoding = make_encoding(name, scorer.image_shape)
    config = MapElitesConfig(batch_size=batch, chunk=scorer.chunk, crops=crops)
    segment = make_segment(scorer, encoding, config, mesh=mesh, length=4)
    state = replicate(init(encoding, len(scorer.class_names), seed=0), mesh)
    for _ in range(arguments.evolved):
        state, _ = segment(state, params, np.int32(1))

    def end_to_end():
        nonlocal state
        state, log = segment(state, params, np.int32(1))
        return log

    size = scorer.input_size
    cuts = np.random.default_rng(0).integers(
        0, 256, (batch * crops, size, size, scorer.image_shape[2]), dtype=np.uint8
    )

    def forward(p, x):
        return scorer.apply(p, scorer.preprocess(x.astype(jnp.float32)))

    def bare(chunk):
        whole, split = PartitionSpec(), PartitionSpec(AXIS)
        call = jax.jit(
            jax.shard_map(
                lambda p, x: map_chunks(lambda y: forward(p, y), x, chunk=chunk),
                mesh=mesh,
                in_specs=(whole, split),
                out_specs=split,
                check_vma=False,
            )
        )
        x = jax.device_put(cuts, NamedSharding(mesh, split))
        return lambda: call(params, x)

    runs = {"end to end": end_to_end} | {
        f"bare {chunk}": bare(chunk) for chunk in sorted({scorer.chunk, 2, 4, 8})
    }
    seconds = interleaved(runs, rounds=arguments.rounds)
    fastest = min(
        (k for k in runs if k != "end to end"), key=lambda k: statistics.median(seconds[k])
    )
    default_chunk = f"bare {scorer.chunk}"
    return [
        {
            "encoding": name,
            "crops": crops,
            "batch": batch,
            "evaluations/s": round(batch / statistics.median(seconds["end to end"]), 1),
            "bare images/s": round(batch * crops / statistics.median(seconds[fastest]), 1),
            "bare chunk": fastest.split()[1],
            "ratio": round(median_ratio(seconds[fastest], seconds["end to end"]), 3),
            f"ratio to chunk {scorer.chunk}": round(
                median_ratio(seconds[default_chunk], seconds["end to end"]), 3
            ),
        }
    ]


if __name__ == "__main__":
    main()
