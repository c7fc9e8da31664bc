"""Compare encodings, and ways to vary them, at the same number of counted evaluations.

Each run is a line of `compare_encodings.jsonl`. Runs that are there already are not repeated, so
that this command can be stopped at any time. `--table` writes tables and plots from the lines. A
gradient step counts as four evaluations.
"""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import dataclasses
import datetime
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import compare_encodings_table as table
import numpy as np
from common import HERE, machine

from qd_fool.commands.evolve.config import evolve_config
from qd_fool.commands.evolve.plan import EvolvePlan, plan
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.encodings import Encoding
from qd_fool.map_elites.segments import make_segment, raise_if_bad
from qd_fool.map_elites.state import init
from qd_fool.models.zoo import ZOO

LENGTH = 16
RANDOM = "random"
"""Mark among the fields of a setting: each generation is drawn at random, without parents."""
NO_SINE = "tanh,sigmoid,gaussian,linear"

DIRECT: dict[str, dict[str, Any]] = {
    "direct": {},
    "direct, SBX": {"genes": "float", "crossover_rate": 0.5},
    "direct, gradients": {"batch_size": 20, "chunk": 10, "emitters": "variation,gradient"},
    "direct, random": {RANDOM: True},
}
CPPN: dict[str, dict[str, Any]] = {
    "CPPN": {},
    "CPPN, normalized": {"coords": "normalized"},
    "CPPN, no sine": {"activations": NO_SINE},
    "CPPN, gradients": {"batch_size": 20, "chunk": 4, "emitters": "variation:4,gradient:1"},
    "CPPN, random": {RANDOM: True},
}
# With a thousand cells and few evaluations, climbs are short and get less than half of a batch.
IMAGENET: dict[str, dict[str, Any]] = {
    "direct, gradients": {"batch_size": 40, "emitters": "gradient", "gradient_steps": 2},
    "CPPN, RGB": {"color": "rgb"},
    "CPPN, HSV": {"color": "hsv"},
    "CPPN, gradients": {"emitters": "variation:9,gradient:1", "gradient_steps": 1},
}
BUDGETS = MappingProxyType({False: (40_000, 5), True: (8_000, 3)})
"""Counted evaluations and seeds of each setting, by whether the network is one of ImageNet's."""


def settings_for(model: str) -> dict[str, dict[str, Any]]:
    """The fields of an `EvolveConfig` by setting; colours only if the network sees them."""
    found = {name: {"encoding": "direct"} | fields for name, fields in DIRECT.items()}
    found |= {name: {"encoding": "cppn"} | fields for name, fields in CPPN.items()}
    if ZOO[model].imagenet:
        for name, fields in IMAGENET.items():
            found[name] = {"encoding": "direct" if name in DIRECT else "cppn"} | fields
    return found


def drawn_afresh(encoding: Encoding) -> Encoding:
    """The same genomes without heredity: offspring are random, as generation 0 is."""
    return dataclasses.replace(
        encoding, vary=lambda keys, parents, mates, generation: encoding.init(keys)
    )


def prepare(planned: EvolvePlan, *, afresh: bool) -> Callable[[int], dict[str, Any]]:
    """Compile a setting. Returns a function from a seed to the record of its run.

    A record has counted `evaluations`; `cells`, their log-odds; the number of `distinct` pictures;
    `seconds` without `compile s`, which all seeds share; and `curve`, points `[evaluations, median
    log-odds, cells >= .99]`.
    """
    scorer, encoding = planned.subject.scorer, planned.subject.encoding
    encoding = drawn_afresh(encoding) if afresh else encoding
    cells, total, mesh = len(scorer.class_names), planned.generations + 1, make_mesh()
    length = min(LENGTH, total)
    segment = make_segment(scorer, encoding, planned.map_elites, mesh=mesh, length=length)
    params = replicate(scorer.params, mesh)
    started = time.perf_counter()
    state = replicate(init(encoding, cells, seed=0), mesh)
    program = segment.lower(state, params, np.int32(length)).compile()
    compile_seconds = time.perf_counter() - started

    def run(seed: int) -> dict[str, Any]:
        state = replicate(init(encoding, cells, seed=seed), mesh)
        started, fitness = time.perf_counter(), []
        for done in range(0, total, length):
            count = min(length, total - done)
            state, log = program(state, params, np.int32(count))
            fitness.append(np.asarray(log.fitness)[:count])
            raise_if_bad(state)
        seconds = time.perf_counter() - started
        found = np.concatenate(fitness)
        over = (found >= np.log(99)).sum(axis=1)
        return {
            "evaluations": planned.evaluations(total - 1),
            "cells >= .99": int(over[-1]),
            "distinct": int(np.asarray(log.statistics.distinct)[count - 1]),
            "seconds": round(seconds, 2),
            "compile s": round(compile_seconds, 1),
            "cells": np.round(found[-1].astype(float), 3).tolist(),
            "curve": [
                [planned.evaluations(int(i)), round(float(np.median(found[i])), 3), int(over[i])]
                for i in thinned(total)
            ],
        }

    return run


def thinned(count: int) -> np.ndarray:
    """About sixty of `count` places, more of them early, including the first and the last."""
    even, early = np.linspace(0, count - 1, 40), np.geomspace(1, count, 25) - 1
    return np.unique(np.round(np.concatenate([even, early])).astype(int))


def records(path: Path) -> list[dict[str, Any]]:
    """The records of all runs so far."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def measure(arguments: argparse.Namespace, lines: Path) -> None:
    """Run all runs that have no line yet, setting by setting."""
    model = arguments.model
    settings, (evaluations, seeds) = settings_for(model), BUDGETS[ZOO[model].imagenet]
    for name in arguments.settings or settings:
        fields = settings[name]
        wanted = {"model": model, "setting": name, "fields": fields}
        wanted["budget"] = arguments.evaluations or evaluations
        done = [r["seed"] for r in records(lines) if wanted.items() <= r.items()]
        missing = [s for s in range(arguments.seeds or seeds) if s not in done]
        if not missing:
            continue
        config = evolve_config(
            model=model,
            weights=arguments.weights,
            evaluations=wanted["budget"],
            crops=1,
            **{k: v for k, v in fields.items() if k != RANDOM},
        )
        run = prepare(plan(config), afresh=RANDOM in fields)
        about = {"machine": machine(), "date": datetime.date.today().isoformat()}
        for seed in missing:
            record = {**wanted, "seed": seed, **about, **run(seed)}
            with lines.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            hidden = ("cells", "curve", "machine", "fields")
            print(json.dumps({k: v for k, v in record.items() if k not in hidden}), flush=True)
        jax.clear_caches()


def main() -> None:
    """Run all runs that have no line yet, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", choices=list(ZOO), help="the network to fool")
    parser.add_argument("--table", action="store_true", help="only write tables and plots")
    parser.add_argument("--weights", type=Path, help="weights for the model")
    parser.add_argument("--settings", nargs="*", help="names; all of them by default")
    parser.add_argument("--seeds", type=int, help="number of seeds; 5, or 3 on ImageNet")
    parser.add_argument(
        "--evaluations", type=int, help="evaluations per run; 40,000, or 8000 on ImageNet"
    )
    parser.add_argument("--out", type=Path, default=HERE, help="folder for lines and tables")
    arguments = parser.parse_args()
    lines = arguments.out / "compare_encodings.jsonl"
    if arguments.model and not arguments.table:
        measure(arguments, lines)
    done = records(lines)
    models = list(dict.fromkeys(r["model"] for r in done))
    table.write(done, orders={m: list(settings_for(m)) for m in models}, out=arguments.out)


if __name__ == "__main__":
    main()
