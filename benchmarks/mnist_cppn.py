"""MNIST, CPPN encoding: generations until the ten cells are at 0.9999."""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse

import numpy as np
from common import first, report

from qd_fool import MapElitesConfig, load_scorer, make_encoding
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.map_elites.segments import make_segment
from qd_fool.map_elites.state import init

TARGET = np.log(0.9999 / 0.0001)
NO_SINE = "tanh,sigmoid,gaussian,linear"
SETTINGS = {
    "original": {},
    "mutations 2": {"mutations": 2},
    "coords normalized": {"coords": "normalized"},
    "no sine": {"activations": NO_SINE},
}


def main():
    """Write one row per seed and setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="weights for lenet instead of the shipped ones")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--generations", type=int, default=400)
    parser.add_argument("--settings", nargs="*", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--table", default="mnist_cppn", help="name of the table to write")
    arguments = parser.parse_args()
    scorer = load_scorer("lenet", weights=arguments.weights)
    mesh = make_mesh()
    config = MapElitesConfig(batch_size=200, chunk=scorer.chunk)
    length = arguments.generations + 1
    rows = []
    for name in arguments.settings:
        encoding = make_encoding("cppn", scorer.image_shape, **SETTINGS[name])
        segment = make_segment(scorer, encoding, config, mesh=mesh, length=length)
        params = replicate(scorer.params, mesh)
        for seed in range(arguments.seeds):
            state = replicate(init(encoding, 10, seed=seed), mesh)
            state, log = segment(state, params, np.int32(length))
            fitness = np.asarray(log.fitness)
            genomes = jax.device_get(state.archive.genomes)
            edges = (genomes.target < encoding.settings.max_nodes).sum(1)
            rows.append(
                {
                    "setting": name,
                    "seed": seed,
                    "median >= .9999 at": first(np.median(fitness, axis=1) >= TARGET),
                    "all ten >= .99 at": first(fitness.min(axis=1) >= np.log(99)),
                    "all ten >= .9999 at": first(fitness.min(axis=1) >= TARGET),
                    "nodes": round(float(genomes.hidden.mean() + 5), 1),
                    "edges": round(float(edges.mean()), 1),
                    "refused": int(state.refused),
                }
            )
    report(
        arguments.table,
        rows,
        words="LeNet on MNIST, CPPN encoding, batch 200: the first generation at which "
        "confidences pass a threshold. Generation 0 is the random batch; "
        f"{arguments.generations} more were run. Nodes and edges are those of the last elites; "
        "refused is the number of mutations that would have exceeded the capacity (64 nodes, 160 "
        "edges).",
    )


if __name__ == "__main__":
    main()
