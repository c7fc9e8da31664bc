"""The same MNIST job on qd_fool, QDax and pyribs: evaluations/s, cells, how soon 0.9999.

Needs `pip install -e ".[versus]"`. Rounds, one a seed, run every loop in turn in one process. Each
run is a line of `versus.jsonl`; what is there already is not run again, so that it can be stopped.
"""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import dataclasses
import datetime
import json
import statistics
import time
from functools import partial
from importlib.metadata import version

import numpy as np
import versus_loops as loops
from common import HERE, machine, median_ratio, report

from qd_fool import MapElitesConfig, load_scorer, make_encoding
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.plan import plan
from qd_fool.map_elites.config import counted_evaluations, generations_for

RESULTS = HERE / "versus.jsonl"
CERTAIN = np.log(0.9999 / 0.0001)
WORDS = """Ten fooling digits for this project's LeNet: 28x28 pixels as genes, {generations}
generations of 200 after the random one; fitness is the log-odds of the confidence, from the same
jitted function on 8-bit pictures in chunks of {chunk}. {seeds} rounds, one a seed: each ran every
loop in turn, in one process, so that noise of the machine falls on all alike; on one JAX device,
but where it says all ({devices}). qd_fool {qd_fool}, QDax {qdax}, pyribs {ribs}.

*Every cell*: each picture is offered to each cell, as in the paper. *Own cell*: only to that of the
class it is taken for, which is what a descriptor or a measure means in QDax and pyribs. They can be
made to do the first: QDax by `ask` and `tell`, each genotype given ten times; pyribs by
`archive.add` likewise, beside its scheduler. *Fast* is `--preset fast`, half of it by gradients, a
step counted as four evaluations.

What differs: qd_fool's genes are bytes, the others' floats in [0, 1], rounded to bytes for the
network. Mutation is polynomial, 0.1 a gene, eta 15: in qd_fool a draw a gene, in QDax its own
operator, which changes exactly 78 genes and looks at the bounds (Deb's later form). That draws them
without replacement, by sorting, and most of the time goes there: see *iso+line* for QDax's own
pace. pyribs has no such operator, so it is qd_fool's in NumPy. All these start from the same 200
pictures. *Iso+line* has the values of QDax's README (0.05, 0.1). *Gaussian* is pyribs' fooling
tutorial, sigma 0.5 from a gray picture, but with batches of 200 and log-odds for its 30 and
probabilities. *CMA-ME* is pyribs' separable CMA-ES ranked by improvement, sigma 0.2 from there,
clipped where it is drawn.

*Of the network*: evaluations/s over those of the network alone on such batches, the median over
rounds; that one, on one device, hands its results to the host batch by batch, as in pyribs' loop,
so a compiled loop can pass it. *Compile* is told apart (on a busy machine); with pyribs it is the
network's and numba's, which its first loop here pays for the others. *At*: evaluations, the median
over seeds, and in how many it happened.

Where they are better: pyribs takes any Python function and compiles none of the loop, so it
begins at once, and each line of it can be stepped through. Both have archives over any measures,
and emitters that are not here (CMA-ME and its kin; QDax policy gradients and many objectives)."""


def jobs(scorer):
    """Name -> builder of a loop, and the configuration by which its evaluations are counted."""
    pixels = make_encoding("direct", scorer.image_shape)
    plain = MapElitesConfig(batch_size=loops.BATCH, chunk=scorer.chunk)
    fast = plan(EvolveConfig(preset="fast"))

    def own(config, **kwargs):
        return partial(loops.qd_fool, encoding=pixels, config=config, **kwargs), config

    argmax = dataclasses.replace(plain, archive_rule="argmax")
    return {
        "the network alone": (loops.network, plain),
        "qd_fool, every cell": own(plain),
        "qd_fool, every cell, all devices": own(plain, devices=len(jax.local_devices())),
        "QDax, every cell": (partial(loops.qdax, operator="polynomial", every=True), plain),
        "pyribs, every cell": (partial(loops.pyribs, operator="polynomial", every=True), plain),
        "qd_fool, own cell": own(argmax),
        "QDax, own cell": (partial(loops.qdax, operator="polynomial", every=False), plain),
        "pyribs, own cell": (partial(loops.pyribs, operator="polynomial", every=False), plain),
        "qd_fool, fast": own(fast.map_elites),
        "QDax, own cell, iso+line": (partial(loops.qdax, operator="iso+line", every=False), plain),
        "pyribs, own cell, Gaussian": (
            partial(loops.pyribs, operator="gaussian", every=False),
            plain,
        ),
        "pyribs, own cell, CMA-ME": (partial(loops.pyribs, operator="cma-me", every=False), plain),
    }


def first(passed, evaluations):
    """Evaluations at which a condition first holds; None if it never does."""
    return int(evaluations[int(np.argmax(passed))]) if passed.any() else None


def how_soon(values):
    """The median over seeds, and in how many it happened."""
    happened = sum(v is not None for v in values)
    middle = statistics.median(np.inf if v is None else v for v in values)
    return f"{middle:,.0f} ({happened})" if np.isfinite(middle) else f"- ({happened})"


def row_of(name, runs, alone):
    """A table row from a loop's runs, one a seed."""
    rates = [r["evaluations/s"] for r in runs]
    row = {
        "loop": name,
        "evaluations/s": round(statistics.median(rates)),
        "of the network": round(median_ratio(rates, alone), 2),
        "compile s": round(statistics.median(r["compile s"] for r in runs), 1),
    }
    if name == "the network alone":
        return row | dict.fromkeys(("cells", "median .9999 at", "all .9999 at"), "")
    cells = sorted({r["cells"] for r in runs})
    return row | {
        "cells": "-".join(str(c) for c in dict.fromkeys((cells[0], cells[-1]))),
        "median .9999 at": how_soon([r["median at"] for r in runs]),
        "all .9999 at": how_soon([r["all at"] for r in runs]),
    }


def records():
    """What has been run."""
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def measure(scorer, name, *, generations):
    """Compile a loop. Returns a function that runs it for a seed, and gives the record."""
    build, config = jobs(scorer)[name]
    encoding = make_encoding("direct", scorer.image_shape)
    last = generations_for(config, (generations + 1) * loops.BATCH, encoding=encoding)
    compile_seconds, run = build(scorer, last)
    counted = [counted_evaluations(config, g, encoding=encoding) for g in range(last + 1)]

    def measured(seed):
        pictures = loops.first_pictures(scorer, seed=seed)
        started = time.perf_counter()
        fitness = run(seed, pictures)
        seconds = time.perf_counter() - started
        return {
            "loop": name,
            "seed": seed,
            "generations": generations,
            "evaluations/s": counted[-1] / seconds,
            "compile s": compile_seconds,
            "cells": int(np.isfinite(fitness[-1]).sum()),
            "median at": first(np.median(fitness, axis=1) >= CERTAIN, counted),
            "all at": first(fitness.min(axis=1) >= CERTAIN, counted),
            "machine": machine(),
            "date": datetime.date.today().isoformat(),
        }

    return measured


def main():
    """Rounds of all loops, a line each, then the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--generations", type=int, default=300)
    parser.add_argument("--table", default="versus", help="name of the table to write")
    arguments = parser.parse_args()
    scorer = load_scorer("lenet")
    names, seeds = list(jobs(scorer)), range(arguments.seeds)

    def done():
        return {
            (r["loop"], r["seed"]): r
            for r in records()
            if r["generations"] == arguments.generations
        }

    if any((name, seed) not in done() for name in names for seed in seeds):
        runs = {n: measure(scorer, n, generations=arguments.generations) for n in names}
        for seed in seeds:
            for name in names:
                if (name, seed) in done():
                    continue
                record = runs[name](seed)
                with RESULTS.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
                print(json.dumps(record), flush=True)
    found = done()
    alone = [found["the network alone", seed]["evaluations/s"] for seed in seeds]
    report(
        arguments.table,
        [row_of(name, [found[name, seed] for seed in seeds], alone) for name in names],
        words=WORDS.format(
            generations=arguments.generations,
            chunk=scorer.chunk,
            seeds=arguments.seeds,
            devices=len(jax.local_devices()),
            **{name: version(name.replace("_", "-")) for name in ("qd_fool", "qdax", "ribs")},
        ),
    )


if __name__ == "__main__":
    main()
