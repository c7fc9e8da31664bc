"""CPPN pictures drawn per second, against LeNet's speed on the same cores."""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import statistics
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from common import interleaved, median_ratio, report
from jax.sharding import NamedSharding, PartitionSpec

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from oracles.graphs import cppn, drifted

from qd_fool import load_scorer
from qd_fool.devices.chunks import map_chunks
from qd_fool.devices.mesh import AXIS, make_mesh
from qd_fool.encodings.cppn.graph import with_ancestors

# Shape of the picture, mutations to drift, live nodes to keep, pictures per call.
CASES = {
    "28x28, about 26 live nodes": ((28, 28, 1), 130, (20, 33), 200),
    "256x256x3, as ImageNet elites": ((256, 256, 3), 20, (10, 16), 40),
    "256x256x3, 60 to 64 nodes": ((256, 256, 3), 190, (7, 64), 40),
}


def sharded(function, arguments, mesh):
    """A call of `function` with the batch split over the mesh, on arguments in place."""
    split = PartitionSpec(AXIS)
    call = jax.jit(
        jax.shard_map(function, mesh=mesh, in_specs=split, out_specs=split, check_vma=False)
    )
    placed = jax.device_put(arguments, NamedSharding(mesh, split))
    return lambda: call(placed)


def population(shape, mutations, live_range, count):
    """Genomes with a number of live nodes in a range, and average facts about them."""
    encoding = cppn(shape)
    outputs = shape[2]
    genomes = drifted(encoding, 3000, mutations)
    nodes = encoding.settings.max_nodes
    is_output = np.broadcast_to(np.arange(nodes) >= nodes - outputs, genomes.activation.shape)
    live = np.asarray(with_ancestors(genomes, jnp.asarray(is_output))).sum(1)
    total = genomes.hidden + 4 + outputs
    fits = (live >= live_range[0]) & (live <= live_range[1])
    if live_range[1] == nodes:
        fits &= total >= 60
    chosen = np.flatnonzero(fits)[:count]
    if len(chosen) < count:
        raise SystemExit(f"only {len(chosen)} genomes of {live_range} live nodes, need {count}")
    edges = (genomes.target < nodes).sum(1)
    facts = {
        "nodes": round(float(total[chosen].mean()), 1),
        "live": round(float(live[chosen].mean()), 1),
        "edges": round(float(edges[chosen].mean()), 1),
    }
    return encoding, jax.tree.map(lambda a: a[chosen], genomes), facts


def main():
    """Interleave each kind of picture with LeNet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    mesh = make_mesh()
    scorer = load_scorer("lenet")
    digits = np.random.default_rng(0).integers(0, 256, (200, 28, 28, 1), dtype=np.uint8)

    def lenet(x):
        return map_chunks(
            lambda y: scorer.apply(scorer.params, scorer.preprocess(y.astype(jnp.float32))),
            x,
            chunk=scorer.chunk,
        )

    bare = sharded(lenet, digits, mesh)
    runs, facts, counts = {"LeNet": lambda: [bare() for _ in range(10)]}, {}, {"LeNet": 2000}
    for name, (shape, mutations, live, count) in CASES.items():
        encoding, genomes, facts[name] = population(shape, mutations, live, count)
        draw = sharded(encoding.render, genomes, mesh)
        times = 5 if shape[0] == 28 else 1
        runs[name] = lambda draw=draw, times=times: [draw() for _ in range(times)]
        counts[name] = count * times
    seconds = interleaved(runs, rounds=arguments.rounds)
    lenet_each = [s / counts["LeNet"] for s in seconds["LeNet"]]
    rows = []
    for name, times in seconds.items():
        each = [s / counts[name] for s in times]
        rows.append(
            {
                "what": name,
                **facts.get(name, {"nodes": "-", "live": "-", "edges": "-"}),
                "images/s": round(1 / statistics.median(each)),
                "÷ LeNet's": round(median_ratio(lenet_each, each), 3),
            }
        )
    report(
        "cppn_render",
        rows,
        words="Speed of drawing whole pictures, planning included, on all cores (one device per "
        f"core); median of {arguments.rounds} interleaved rounds. Capacity 64 nodes, 160 edges; "
        "genomes drifted by mutation alone; live nodes are those that an output depends on.",
    )


if __name__ == "__main__":
    main()
