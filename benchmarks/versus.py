"""The same MNIST job on qd_fool, QDax and pyribs: evaluations/s, cells, evaluations to 0.9999.

Needs `pip install -e ".[versus]"`. Each round has a seed and runs every loop in turn in one
process. Each run is a line of `versus.jsonl`; runs that are there are not repeated.
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
from qd_fool.map_elites.evaluations import counted_evaluations, generations_for

RESULTS = HERE / "versus.jsonl"
CERTAIN = np.log(0.9999 / 0.0001)
WORDS = """Ten fooling digits for this project's LeNet: 28x28 pixels as genes, {generations}
generations of 200 after the random one; fitness is the log-odds of the confidence, from the same
jitted function on 8-bit pictures in chunks of {chunk}. {seeds} rounds, one per seed: each ran every
loop in turn, in one process, so that noise of the machine affects all equally; on one JAX device,
unless the row says all ({devices}). qd_fool {qd_fool}, QDax {qdax}, pyribs {ribs}.

*Every cell*: each picture is offered to each cell, as in the paper. *Own cell*: only to the cell of
its top class, which is the meaning of a descriptor or a measure in QDax and pyribs. Both can do the
first: QDax by `ask` and `tell` with each genotype given ten times; pyribs by `archive.add` with
each given ten times, without its scheduler. *Fast* is `--preset fast`, with half of the offspring
by gradients; a step counts as four evaluations.

Differences: genes are bytes in qd_fool, and floats in [0, 1] in the others, rounded to bytes for
the network. Mutation is polynomial, with probability 0.1 per gene and eta 15. qd_fool draws once
per gene. QDax's operator changes exactly 78 genes and respects the bounds (Deb's later form); it
draws them without replacement, by sorting, which takes most of the time: see *iso+line* for QDax's
usual speed. pyribs has no such operator, so it uses qd_fool's in NumPy. All these start from the
same 200 pictures. *Iso+line* has the values of QDax's README (0.05, 0.1). *Gaussian* is pyribs'
fooling tutorial, sigma 0.5 from a gray picture, but with batches of 200 instead of 30 and log-odds
instead of probabilities. *CMA-ME* is pyribs' separable CMA-ES ranked by improvement, sigma 0.2 from
a gray picture, clipped when it is drawn.

*Of the network*: evaluations/s relative to the network alone on the same batches, the median over
rounds. The network alone runs on one device and passes its results to the host batch by batch, as
in pyribs' loop, so a compiled loop can be faster. *Compile* is measured separately (on a busy
machine). With pyribs it includes the network and numba, which the first pyribs loop compiles for
the others. *At*: the median number of evaluations over seeds, and the number of seeds that got
there.

Strengths of the others: pyribs takes any Python function and does not compile the loop, so it
starts at once and can be debugged line by line. Both have archives over any measures, and emitters
that qd_fool does not have (CMA-ME and similar ones; QDax policy gradients and many objectives)."""


def jobs(scorer):
    """The builder of each loop, and the configuration that counts its evaluations, by name."""
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
    """The evaluations at which a condition first holds; None if it never does."""
    return int(evaluations[int(np.argmax(passed))]) if passed.any() else None


def how_soon(values):
    """The median over seeds, and the number of seeds that got there."""
    happened = sum(v is not None for v in values)
    middle = statistics.median(np.inf if v is None else v for v in values)
    return f"{middle:,.0f} ({happened})" if np.isfinite(middle) else f"- ({happened})"


def row_of(name, runs, alone):
    """The row of a loop, from its runs, one per seed."""
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
    """The records of all runs so far."""
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def measure(scorer, name, *, generations):
    """Compile a loop. Returns a function from a seed to the record of its run."""
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
    """Run all rounds of all loops, one line per run, then write the table."""
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
