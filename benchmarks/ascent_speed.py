"""Gradient ascent: many classes at once against one after another, and the cost of a step."""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import dataclasses
from functools import partial

import jax.numpy as jnp
import numpy as np
from common import interleaved, median_ratio, report

from qd_fool import load_scorer, make_encoding
from qd_fool.ascent.blocks import ascend_block, block_size
from qd_fool.ascent.config import PRESETS
from qd_fool.ascent.segments import make_ascent
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.scoring.score import score_function


def climber(scorer, encoding, chunk, devices, iterations):
    """A compiled ascent: `(genomes, values, classes) -> result`, any number of targets."""
    mesh = make_mesh(devices)
    config = dataclasses.replace(PRESETS["adam"], chunk=chunk, iterations=iterations)
    ascent = make_ascent(scorer, encoding, config, mesh=mesh)
    params = replicate(scorer.params, mesh)

    def climb(genomes, values, classes, at_once=64):
        size = block_size(ascent, genomes, values, targets=len(classes), block=len(classes))
        return ascend_block(
            ascent, params, genomes, values, classes, size=size, count=lambda done, latest: at_once
        )

    return climb


SIDE = 2048


@jax.jit
def product(a):
    """A matrix product, which shows the machine's best speed in float32."""
    return a @ a


def main():
    """Write one row per network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    rows = []
    square = jnp.ones((SIDE, SIDE))
    for model, targets, iterations in (("lenet", 200, 30), ("efficientnet-lite0", 8, 8)):
        scorer = load_scorer(model)
        encoding = make_encoding(
            "direct", scorer.image_shape, color=None if model == "lenet" else "rgb"
        )
        classes = np.arange(targets) % len(scorer.class_names)
        genomes = np.asarray(encoding.init(jax.random.split(jax.random.key(0), targets)))
        values = np.asarray(encoding.variables.take(genomes))
        chunk = max(1, min(scorer.chunk, targets // CORES, 25))
        together = climber(scorer, encoding, chunk, CORES, iterations)
        alone = climber(scorer, encoding, 1, 1, iterations)
        images = np.asarray(encoding.render(genomes))
        score = score_function(scorer, crops=1, chunk=chunk)
        few = range(max(2, targets // 10))

        def one_by_one(at_once=64, alone=alone, few=few, data=(genomes, values, classes)):
            for i in few:
                alone(*(a[i : i + 1] for a in data), at_once)

        def looks(score=score, images=images, scorer=scorer, times=iterations):
            for _ in range(times):
                score(scorer.params, images)

        seconds = interleaved(
            {
                "together": lambda t=together, d=(genomes, values, classes): t(*d).norm,
                "one by one": one_by_one,
                "call by call": partial(one_by_one, 1),
                "product": lambda: product(square),
                "forward": looks,
            },
            rounds=arguments.rounds,
        )
        product_rate = 2 * SIDE**3 / float(np.median(seconds["product"]))
        a_class = [s / targets for s in seconds["together"]]
        rows.append(
            {
                "model": model,
                "targets": targets,
                "iterations": iterations,
                "classes/s together": round(1 / float(np.median(a_class)), 2),
                "classes/s one by one": round(
                    len(few) / float(np.median(seconds["one by one"])), 2
                ),
                "classes/s one by one, one call per iteration": round(
                    len(few) / float(np.median(seconds["call by call"])), 2
                ),
                "ratio": round(
                    median_ratio([s / len(few) for s in seconds["one by one"]], a_class), 2
                ),
                "iteration / forward": round(
                    median_ratio(seconds["together"], seconds["forward"]), 2
                ),
                "Gflop/s of a matrix product": round(product_rate / 1e9, 1),
            }
        )
    report(
        "ascent_speed",
        rows,
        words="Classes climbed per second, all at once on all cores against one after another "
        "(compiled once, chunk 1, one core); and the time of an iteration of ascent (forward, "
        "backward, step) relative to a forward pass of the same pictures on the same cores. Ratios "
        "are medians over interleaved rounds. One column climbs one by one with one call of the "
        "compiled step per iteration, as the original does. The last column is the speed of a "
        f"product of {SIDE}x{SIDE} float32 matrices on all cores, which bounds all others: a "
        "forward pass of LeNet takes 4.6 Mflop, and its backward pass to the picture as many.",
    )


if __name__ == "__main__":
    main()
