"""MNIST, direct encoding: generations until the ten cells are at 0.9999."""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from common import first, report

from qd_fool import MapElitesConfig, load_scorer, make_encoding
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.map_elites.segments import make_segment
from qd_fool.map_elites.state import init
from qd_fool.models.readers.caffemodel import parse_blob

TARGET = np.log(0.9999 / 0.0001)


def main():
    """Write one row per seed and setting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weights", help="weights for lenet instead of the shipped ones")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--generations", type=int, default=400)
    parser.add_argument(
        "--mean", type=Path, help="mnist_mean.binaryproto: also with the original's mean"
    )
    parser.add_argument("--settings", nargs="*", help="these rows only, by name")
    parser.add_argument("--table", default="mnist_direct", help="name of the table to write")
    arguments = parser.parse_args()
    scorer = load_scorer("lenet", weights=arguments.weights)
    mesh = make_mesh()
    settings = {
        "paper: 8-bit genes": ({}, "all"),
        "code: float genes, SBX 0.5": ({"genes": "float", "crossover_rate": 0.5}, "all"),
        "argmax rule": ({}, "argmax"),
    }
    scorers = dict.fromkeys(settings, scorer)
    if arguments.mean:
        mean = parse_blob(arguments.mean.read_bytes(), source=str(arguments.mean))
        mean = mean.reshape(28, 28, 1)[None]
        name = "original evaluator's mean"
        settings[name] = ({}, "all")
        scorers[name] = dataclasses.replace(scorer, preprocess=lambda x: (x - mean) * (1 / 256))
    if arguments.settings:
        settings = {name: settings[name] for name in arguments.settings}
    rows = []
    for name, (fields, rule) in settings.items():
        encoding = make_encoding("direct", scorer.image_shape, **fields)
        config = MapElitesConfig(batch_size=200, chunk=scorer.chunk, archive_rule=rule)
        length = arguments.generations + 1
        segment = make_segment(scorers[name], encoding, config, mesh=mesh, length=length)
        params = replicate(scorer.params, mesh)
        for seed in range(arguments.seeds):
            state = replicate(init(encoding, 10, seed=seed), mesh)
            _, log = segment(state, params, np.int32(length))
            fitness = np.asarray(log.fitness)
            rows.append(
                {
                    "setting": name,
                    "seed": seed,
                    "median >= .9999 at": first(np.median(fitness, axis=1) >= TARGET),
                    "all ten >= .99 at": first(fitness.min(axis=1) >= np.log(99)),
                    "all ten >= .9999 at": first(fitness.min(axis=1) >= TARGET),
                    "empty at the end": int(np.isneginf(fitness[-1]).sum()),
                }
            )
    report(
        arguments.table,
        rows,
        words="LeNet on MNIST, direct encoding, batch 200: the first generation at which "
        "confidences pass a threshold. Generation 0 is the random batch; "
        f"{arguments.generations} more were run.",
    )


if __name__ == "__main__":
    main()
