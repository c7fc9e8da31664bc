"""Confidence per counted evaluation, by settings of a run.

A screening runs every setting once to a small budget; finalists run with several `--seeds` and
more `--evaluations`. Each run is a line of `efficiency.jsonl`. Runs that are there already are not
repeated, so that this command can be stopped at any time. `--table` writes the table and the plot.
"""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import datetime
import json
import time
from pathlib import Path

import numpy as np
from common import HERE, machine
from efficiency_settings import JOBS

from qd_fool.commands.evolve.config import evolve_config
from qd_fool.commands.evolve.plan import plan
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.map_elites.division import plan_tuning
from qd_fool.map_elites.segments import make_segment, raise_if_bad
from qd_fool.map_elites.state import init
from qd_fool.runs.pictures import render_elites

RESULTS = HERE / "efficiency.jsonl"
LENGTH = 16
CERTAIN = np.log(0.9999 / 0.0001)
WORDS = """Confidence per counted evaluation. An evaluation is a forward pass of the network; a
gradient step counts as four. Each setting was screened once; the finalists ran with several seeds
to a larger budget. The tables show every setting that was tried, and the last table explains the
names. With CPPNs for the digits, the seeds of one setting differ more than settings do: five seeds
of a setting looked good, and the next five did not. The same happened to tuning that gives half of
its offspring to the weakest cell, a rule that is not kept.

Where the limits seem to lie. Against SqueezeNet 1.1, the best settings raise the median by about
0.006 per 1000 evaluations from 40,000 on until tuning begins, and tuning adds about a tenth. Preset
fast ("unsure cells first") passed 0.88 after 174,000 of 200,000 evaluations. Against
EfficientNet-Lite0, all settings that tune end within the seeds' spread, 0.45 to 0.52 at 100,000.

"First answers" counts the cells whose own class is the network's first answer (not
counted before 2026-11-29). "paper" is the original's setting. Not tried: duplication of modules,
graphs made for gradients, gradients late in a CPPN run on ImageNet. Runs shared the machine with
other work, so evaluations/s do not measure speed.

![Median confidence over evaluations](efficiency.png)"""


def run(job, name, seed, budget, weights):
    """Do one run. Returns its record for the file, with the curve and the last figures."""
    fields = {**JOBS[job]["common"], **JOBS[job]["settings"][name]}
    config = evolve_config(seed=seed, generations=0, weights=weights, **fields)
    planned = plan(config)
    scorer, encoding, settings = (
        planned.subject.scorer,
        planned.subject.encoding,
        planned.map_elites,
    )
    cells, mesh = len(scorer.class_names), make_mesh()
    segment = make_segment(scorer, encoding, settings, mesh=mesh, length=LENGTH)
    blank = init(encoding, cells, seed=seed, feedback=settings.feedback)
    params = replicate(scorer.params, mesh)
    total = 0
    while planned.evaluations(total) <= budget:
        total += 1  # generations 0 to total - 1 are within the budget
    state = replicate(plan_tuning(blank, config=settings, generations=total - 1), mesh)
    started, done, curve = time.perf_counter(), 0, []
    while done < total:
        count = min(LENGTH, total - done)
        state, log = segment(state, params, np.int32(count))
        log = jax.device_get(log)
        raise_if_bad(state)
        if done == 0:
            started, first = time.perf_counter(), count
        for i in range(count):
            s = log.statistics
            curve.append(
                [
                    planned.evaluations(done + i),
                    round(float(s.median_confidence[i]), 5),
                    round(float(s.mean_confidence[i]), 5),
                    int(s.cells_over_99[i]),
                    round(float(np.min(log.fitness[i])), 4),
                ]
            )
        done += count
    seconds = time.perf_counter() - started
    counted = curve[-1][0] - curve[first - 1][0]
    return {
        "job": job,
        "setting": name,
        "fields": JOBS[job]["settings"][name],
        "seed": seed,
        "budget": budget,
        "evaluations": curve[-1][0],
        "median": curve[-1][1],
        "mean": curve[-1][2],
        "cells >= .99": curve[-1][3],
        "first answers": first_answers(planned, state),
        "distinct": int(log.statistics.distinct[count - 1]),
        "evaluations/s": round(counted / max(seconds, 1e-9)) if counted else None,
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
        "curve": thinned(curve),
    }


def first_answers(planned, state):
    """The number of elites whose own class is the network's first answer."""
    subject = planned.subject
    images = render_elites(jax.device_get(state.archive), subject.encoding, chunk=subject.chunk)
    scores = subject.score(subject.scorer.params, images)
    return int(np.sum(scores.argmax(axis=1) == np.arange(len(scores))))


def thinned(curve):
    """About sixty points of a curve, including the last point and the first certain one."""
    every = max(1, len(curve) // 60)
    certain = [i for i, point in enumerate(curve) if point[4] >= CERTAIN][:1]
    kept = sorted({*range(0, len(curve), every), *certain, len(curve) - 1})
    return [curve[i] for i in kept]


def records():
    """The records of all runs so far."""
    if not RESULTS.exists():
        return []
    return [json.loads(line) for line in RESULTS.read_text(encoding="utf-8").splitlines()]


def first_all_certain(record):
    """The evaluations until every cell is at 0.9999; "-" if the budget does not suffice."""
    for evaluations, _, _, _, worst in record["curve"]:
        if worst >= CERTAIN:
            return evaluations
    return "-"


def rows_of(job, budget):
    """Table rows of one job's runs at one budget, settings in the order of the list."""
    found = [r for r in records() if (r["job"], r["budget"]) == (job, budget)]
    order = list(JOBS[job]["settings"])
    rows = []
    order += sorted({r["setting"] for r in found} - set(order))
    for r in sorted(found, key=lambda r: (order.index(r["setting"]), r["seed"])):
        shown = ("setting", "seed", "evaluations", "median", "mean", "cells >= .99", "distinct")
        row = {name: r[name] for name in shown} | {"first answers": r.get("first answers", "-")}
        if job.startswith("mnist"):
            row = {"setting": r["setting"], "seed": r["seed"], "all ten >= .9999 at": None} | row
            row["all ten >= .9999 at"] = first_all_certain(r)
        rows.append(row | {"evaluations/s": r["evaluations/s"]})
    return rows


def write_table():
    """Write `efficiency.md` and `efficiency.png`, from the file of results."""
    lines = ["# efficiency", "", WORDS, ""]
    kinds = sorted({(r["job"], r["budget"]) for r in records()})
    for job, budget in kinds:
        rows = rows_of(job, budget)
        model, encoding = (JOBS[job]["common"][k] for k in ("model", "encoding"))
        runs = [r for r in records() if (r["job"], r["budget"]) == (job, budget)]
        machines = sorted({r["machine"] for r in runs})
        dates = sorted({r["date"] for r in runs})
        columns = list(rows[0])
        lines += [
            f"## {model}, {encoding}, {budget:,} evaluations",
            "",
            f"`python benchmarks/efficiency.py {job} --evaluations {budget}`; "
            + "; ".join([*machines, " and ".join(dates)]),
            "",
            "| " + " | ".join(columns) + " |",
            "|" + "---|" * len(columns),
            *("| " + " | ".join(str(row[c]) for c in columns) + " |" for row in rows),
            "",
        ]
    lines += ["## Settings", "", "| job | setting | fields |", "|---|---|---|"]
    settings = {
        (r["job"], r["setting"]): ", ".join(f"{k} {v}" for k, v in r["fields"].items())
        for r in records()
    }
    lines += [
        f"| {job} | {name} | {fields or 'defaults'} |" for (job, name), fields in settings.items()
    ]
    (HERE / "efficiency.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    plot(kinds)


def plot(kinds):
    """Plot confidence over counted evaluations, one panel per job and budget; dotted: 0.9999."""
    from matplotlib.figure import Figure

    columns = 2
    height = -(-len(kinds) // columns)
    figure = Figure(figsize=(8.5 * columns, 4 * height), layout="constrained")
    for place, (job, budget) in enumerate(kinds):
        axes = figure.add_subplot(height, columns, place + 1)
        digits = job.startswith("mnist")
        found = [r for r in records() if (r["job"], r["budget"]) == (job, budget)]
        names = [n for n in JOBS[job]["settings"] if any(r["setting"] == n for r in found)]
        for i, name in enumerate(names):
            for k, r in enumerate(r for r in found if r["setting"] == name):
                curve = np.array(r["curve"])
                axes.plot(
                    curve[:, 0],
                    curve[:, 4 if digits else 1],
                    color="black" if name == "paper" else f"C{i % 10}",
                    linestyle="-" if i < 10 else "--",
                    linewidth=2 if name == "paper" else 1.2,
                    label=name if k == 0 else None,
                )
        seen = "log-odds of the worst digit" if digits else "median confidence"
        axes.set(title=f"{job}, {budget:,}", xlabel="counted evaluations", ylabel=seen)
        axes.locator_params(axis="x", nbins=5)
        axes.set(xlim=(0, budget), ylim=(-5, None) if digits else (0, None))
        if digits:
            axes.axhline(CERTAIN, color="#888", linestyle=":")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    figure.savefig(HERE / "efficiency.png", dpi=80)


def main():
    """Run all runs that have no record yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("job", nargs="?", choices=list(JOBS))
    parser.add_argument("--table", action="store_true", help="write the table and the plot")
    parser.add_argument("--weights", type=Path, help="weights for the job's model")
    parser.add_argument("--settings", nargs="*", help="names; all of the job's by default")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--evaluations", type=int, default=10_000)
    arguments = parser.parse_args()
    if arguments.table:
        write_table()
    if arguments.job is None:
        return
    names = arguments.settings or list(JOBS[arguments.job]["settings"])
    for seed in arguments.seeds:
        for name in names:
            wanted = {
                "job": arguments.job,
                "setting": name,
                "fields": JOBS[arguments.job]["settings"][name],
                "seed": seed,
                "budget": arguments.evaluations,
            }
            if any(all(r[k] == v for k, v in wanted.items()) for r in records()):
                continue
            record = run(arguments.job, name, seed, arguments.evaluations, arguments.weights)
            with RESULTS.open("a", encoding="utf-8") as file:
                file.write(json.dumps(record) + "\n")
            shown = {k: v for k, v in record.items() if k not in ("curve", "machine", "fields")}
            print(json.dumps(shown), flush=True)
            jax.clear_caches()


if __name__ == "__main__":
    main()
