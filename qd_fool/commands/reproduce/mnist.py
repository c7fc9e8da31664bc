"""The paper's experiments on MNIST: commands, and rows of the summary from their results."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qd_fool.commands.reproduce.ascent import ascent_rows
from qd_fool.commands.reproduce.config import ReproduceConfig
from qd_fool.commands.reproduce.steps import Step, by_kind, confidences, named, rows_of
from qd_fool.commands.reproduce.summary import Row, median_row, p_value, plot_runs
from qd_fool.commands.reproduce.transfer import transfer_rows
from qd_fool.files import read_json
from qd_fool.judge.statistics import mann_whitney
from qd_fool.scoring.confidence import percent

ENCODINGS = ("direct", "cppn")


JOINT_SEEDS = 3


NETWORKS = ("lenet", "lenet-b", "lenet-c")


GENERATIONS = {"paper": {"direct": 200, "cppn": 1000}, "fast": {"direct": 200, "cppn": 3000}}
"""Generations by preset and encoding: those of the paper or the original code; the fast presets
get at least as many evaluations."""


def mnist_steps(config: ReproduceConfig, out: Path) -> list[Step]:
    """The commands, in order.

    Args:
      config: Settings of the reproduction.
      out: Directory that the commands write to.
    """
    data = () if config.data_dir is None else ("--data-dir", str(config.data_dir))
    seeds = range(config.seeds or 5)
    steps = []

    def evolve(kind: str, seed: int, generations: int, *more: str) -> None:
        run = out / kind / f"seed{seed}"
        words = ("evolve", *more, "--generations", str(generations), "--seed", str(seed))
        steps.append(Step(f"{kind}/seed{seed}", (*words, "--run-dir", str(run), "--resume"), run))

    # Evolutions against one network, then against two.
    third = out / f"{NETWORKS[2]}.safetensors"
    for preset, each in GENERATIONS.items():
        for encoding in ENCODINGS:
            flags = ("--model", "lenet", "--encoding", encoding, "--preset", preset)
            for seed in seeds:
                evolve(f"{encoding}-{preset}", seed, each[encoding], *flags)
    for encoding in ENCODINGS:
        flags = ("--model", "lenet", "--model", "lenet-b", "--encoding", encoding)
        for seed in range(JOINT_SEEDS):
            generations = GENERATIONS["paper"][encoding]
            evolve(f"{encoding}-joint", seed, generations, *flags)

    # Gradient ascent, and a third network that no picture was evolved against.
    ascent = out / "ascent"
    steps.append(
        Step(
            "ascent",
            ("ascend", "--model", "lenet", "--classes", "all", "--start", "uniform", "--starts",
             "10", "--run-dir", str(ascent), "--resume"),
            ascent,
        )
    )  # fmt: skip
    steps.append(
        Step(
            "lenet-c",
            ("train", "--recipe", config.recipe, "--seed", "2", "--out", str(third), *data),
            third,
        )
    )

    # The pictures shown to all networks, and retraining.
    for kind in ("direct-paper", "cppn-paper", "direct-joint", "cppn-joint"):
        runs = [step.result for step in by_kind(steps, [kind])[kind]]
        where = out / f"transfer-{kind}"
        words = ("transfer", *map(str, runs), "--to", "lenet", "--to", "lenet-b", "--to", "lenet",
                 "--weights", "own", "--weights", "own", "--weights", str(third),
                 "--names", *NETWORKS, "--out", str(where))  # fmt: skip
        steps.append(Step(f"transfer-{kind}", words, where / "transfer.json"))
    for encoding in ENCODINGS if config.encoding == "both" else (config.encoding,):
        run = out / f"retrain-{encoding}"
        words = ("retrain", "--model", "lenet", "--encoding", encoding, "--rounds",
                 str(config.rounds), "--recipe", config.recipe, *data,
                 "--run-dir", str(run), "--resume")  # fmt: skip
        steps.append(Step(f"retrain-{encoding}", words, run))
    return steps


def mnist_rows(config: ReproduceConfig, out: Path, steps: Sequence[Step]) -> list[Row]:
    """Rows of the summary. Writes the plot of confidence over evaluations, too.

    Args:
      config: Settings of the reproduction.
      out: Directory that the commands wrote to.
      steps: Commands, all done.
    """
    evolutions = by_kind(steps, ("direct-paper", "cppn-paper", "direct-fast", "cppn-fast"))
    rows = [row for kind, same in evolutions.items() for row in evolution_rows(kind, same)]
    plot_runs(out / "confidence.png", evolutions, title="LeNet: median over the ten digits")
    rows += _between(evolutions)
    rows += ascent_rows(
        named(steps, "ascent"),
        experiment="gradient ascent (Adam, log-odds), from noise",
        targets="ascents, ten per digit,",
    )
    for encoding in ENCODINGS:
        rows += transfer_rows(
            named(steps, f"transfer-{encoding}-paper"),
            named(steps, f"transfer-{encoding}-joint"),
            experiment=f"transfer, {encoding}",
        )
    for step in steps:
        if step.name.startswith("retrain-"):
            rows += _retraining(step)
    return rows


def _seeds(steps: Sequence[Step]) -> str:
    """The seeds of some steps, such as "0 to 4"."""
    last = len(steps) - 1
    return "0" if last == 0 else f"0 to {last}"


def evolution_rows(kind: str, steps: Sequence[Step]) -> list[Row]:
    """Rows on evolutions that differ in their seed.

    Args:
      kind: Encoding and preset, such as "direct-paper".
      steps: Commands of the evolutions.
    """
    encoding, preset = kind.split("-")
    settings = "paper's settings" if preset == "paper" else f"preset {preset}"
    experiment = f"evolution, {encoding}, {settings}"
    row = functools.partial(Row, experiment=experiment, step=steps[0], seeds=_seeds(steps))
    medians = np.asarray([np.median(confidences(step.result)) for step in steps])
    everything = np.concatenate([confidences(step.result) for step in steps])
    logs = [rows_of(step.result / "metrics.csv") for step in steps]
    last = int(logs[0][-1]["evaluations"])
    rows = [
        median_row(
            everything,
            experiment=experiment,
            figure=f"median confidence after {last:,} evaluations per seed",
            step=steps[0],
            seeds=_seeds(steps),
            paper=f"mnist {encoding}" if preset == "paper" else "",
        ),
        row(figure="lowest median of a seed", value=percent(float(medians.min()))),
    ]
    # Evaluations until the median, or every cell, had 99.99%.
    for column, name in (("median_confidence", "median"), ("min_confidence", "all ten")):
        times = [_first(log, column) for log in logs]
        reached = [t for t in times if t is not None]
        value = f"{min(reached):,} to {max(reached):,} evaluations" if reached else "never"
        if reached and len(reached) < len(times):
            value += f" in {len(reached)} of {len(times)} seeds, never in the others"
        key = "mnist direct, all" if column == "min_confidence" and kind == "direct-paper" else ""
        rows.append(row(figure=f"{name} >= 99.99%", value=value, paper=key))
    return rows


def _first(log: Sequence[dict[str, str]], column: str) -> int | None:
    """Evaluations until a column of `metrics.csv` had 99.99%; None if it never had."""
    return next((int(row["evaluations"]) for row in log if float(row[column]) >= 0.9999), None)


def _between(evolutions: dict[str, list[Step]]) -> list[Row]:
    """A row that compares the two encodings."""
    pooled = {
        kind: np.concatenate([confidences(step.result) for step in evolutions[kind]])
        for kind in ("direct-paper", "cppn-paper")
    }
    test = mann_whitney(pooled["direct-paper"], pooled["cppn-paper"])
    cppn_steps = evolutions["cppn-paper"]
    return [
        Row(
            experiment="direct against CPPN, paper's settings",
            figure="a direct elite is the more confident one (Mann-Whitney)",
            value=f"{test['effect']:.0%} of pairs, p {p_value(test['p'])}",
            step=cppn_steps[0],
            seeds=_seeds(cppn_steps),
        )
    ]


def _retraining(step: Step) -> list[Row]:
    """Rows on the extremes over all rounds. The summary also shows the whole table."""
    table = read_json(step.result / "table.json")["rows"]
    experiment = f"retraining, {len(table)} rounds, {step.name.partition('-')[2]}"
    figure_row = functools.partial(Row, experiment=experiment, step=step)
    errors = [row["test_error"] for row in table]
    medians = [row["median_confidence"] for row in table]

    def spread(name: str) -> str:
        values = [row[name] for row in table if row[name] is not None]
        return f"{min(values):.1%} to {max(values):.1%}" if values else "-"

    return [
        figure_row(
            figure=f"test error on {table[0]['test_images']:,} real digits, lowest to highest",
            value=f"{min(errors):.2%} to {max(errors):.2%}",
            paper="retrain mnist, error",
        ),
        figure_row(
            figure="median confidence of the pictures evolved against DNN_1, and against the last",
            value=f"{percent(medians[0])}, {percent(medians[-1])}",
            paper="retrain mnist",
        ),
        figure_row(
            figure="median confidence, lowest of all rounds",
            value=f"{percent(min(medians))} (DNN_{int(np.argmin(medians)) + 1})",
        ),
        figure_row(
            figure="pictures that the next network catches, out of those it was trained on",
            value=spread("caught"),
        ),
        figure_row(
            figure="pictures of other seeds that the next network catches",
            value=spread("caught_held_out"),
        ),
        figure_row(
            figure="pictures of the other encoding that the next network catches",
            value=spread("caught_other"),
        ),
    ]
