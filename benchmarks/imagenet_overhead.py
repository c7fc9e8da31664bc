"""End-to-end evaluations/s ÷ bare jitted network images/s: all cores, interleaved."""

import os

import jax

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
jax.config.update("jax_num_cpu_devices", CORES)

import argparse
import statistics

from common import evolution_call, forward_call, interleaved, median_ratio, report

from qd_fool.commands.evolve.config import evolve_config
from qd_fool.commands.evolve.plan import plan

LENGTH = 4


def main():
    """Time whole generations and the bare network, for each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="squeezenet1.1")
    parser.add_argument("--weights", help="weights for the model instead of its own")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--chunks", type=int, nargs="+", default=[2, 4, 8], help="bare forms")
    parser.add_argument(
        "--runs",
        default="cppn:1:fast:100000,direct:1:paper:60000",
        help="encoding:crops:preset:evaluations before the clock, ...",
    )
    parser.add_argument("--table", default="imagenet_overhead", help="name of the table to write")
    arguments = parser.parse_args()
    rows = []
    for run in arguments.runs.split(","):
        rows.append(measure(*run.split(":"), arguments))
        # After each row, because a row takes minutes.
        report(
            arguments.table,
            rows,
            words=f"MAP-Elites against {arguments.model} with a preset, after some evaluations, "
            "against the bare jitted network on as many pictures as a generation has, over "
            f"{CORES} devices. Median of {arguments.rounds} interleaved rounds; `ratio` is the "
            "median over rounds of the ratio to the fastest bare form. Preset `fast` has adaptive "
            "shares and tunes at the end of its evaluations. A picture with ten crops counts as "
            "ten of the network.",
        )


def measure(encoding, crops, preset, evaluations, arguments):
    """The row of a run: its generations and the network alone."""
    crops, evaluations = int(crops), int(evaluations)
    config = evolve_config(
        model=arguments.model,
        weights=arguments.weights,
        encoding=encoding,
        crops=crops,
        preset=preset,
        generations=0,
        seed=0,
    )
    planned = plan(config)
    scorer, settings = planned.subject.scorer, planned.map_elites
    end_to_end = evolution_call(planned, length=LENGTH, evaluations=evaluations)

    # A call of the bare network takes as many pictures as a generation.
    made, shown = LENGTH * settings.batch_size, settings.batch_size * crops
    chunks = sorted({settings.chunk, scorer.chunk, *arguments.chunks})
    pictures = {chunk: -(-shown // (chunk * CORES)) * chunk * CORES for chunk in chunks}
    runs = {"end to end": end_to_end}
    runs |= {str(c): forward_call(scorer, chunk=c, pictures=pictures[c]) for c in chunks}
    seconds = interleaved(runs, rounds=arguments.rounds)
    # Seconds of the bare network for as many pictures as the generations score.
    bare = {c: [x * made * crops / pictures[c] for x in seconds[str(c)]] for c in chunks}
    fastest = min(chunks, key=lambda c: statistics.median(bare[c]))
    return {
        "encoding": encoding,
        "crops": crops,
        "preset": preset,
        "evaluations before": evaluations,
        "batch": settings.batch_size,
        "chunk": settings.chunk,
        "evaluations/s": round(made / statistics.median(seconds["end to end"]), 1),
        "bare images/s": round(made * crops / statistics.median(bare[fastest]), 1),
        "bare chunk": fastest,
        "ratio": round(median_ratio(bare[fastest], seconds["end to end"]), 3),
    }


if __name__ == "__main__":
    main()
