"""The paper's experiments on ImageNet: commands, and rows of the summary from their results."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from qd_fool.commands.reproduce.ascent import ascent_rows
from qd_fool.commands.reproduce.config import ReproduceConfig
from qd_fool.commands.reproduce.steps import Step, by_kind, confidences, evaluations, named
from qd_fool.commands.reproduce.summary import Row, median_row, p_value, plot_runs
from qd_fool.commands.reproduce.transfer import transfer_rows
from qd_fool.files import read_json
from qd_fool.judge.statistics import mann_whitney
from qd_fool.scoring.confidence import percent

KINDS = {
    "cppn-paper": ("cppn", "paper", 1.0),
    "cppn-fast": ("cppn", "fast", 1.0),
    "direct-paper": ("direct", "paper", 0.25),
    "direct-gradient": ("direct", "fast", 0.7),
    "cppn-joint": ("cppn", "fast", 0.5),
}
"""Encoding, preset, and share of the budget, by kind of run.

Evolved pixels gain too little to be worth more; pixels that climb gradients need no more; a picture
for two networks costs two forward passes."""


RETRAINED = 0.5
"""Share of the budget for evolution against the retrained network.

Both evolutions are compared at this number of evaluations."""


def imagenet_steps(config: ReproduceConfig, out: Path) -> list[Step]:
    """The commands, in order.

    Args:
      config: Settings of the reproduction.
      out: Directory that the commands write to.
    """
    networks = [text.partition("=")[::2] for text in config.networks]
    first, second = networks[:2]
    seeds = range(config.seeds or 1)
    steps: list[Step] = []

    def add(name: str, *words: str, result: Path | None = None) -> None:
        run = out / name
        if result is None:
            words = (*words, "--run-dir", str(run), "--resume")
        steps.append(Step(name, words, result or run))

    def evolve(kind: str, fooled: Sequence[tuple[str, str]], seed: int) -> None:
        encoding, preset, share = KINDS[kind]
        add(
            f"{kind}/seed{seed}", "evolve", *_networks("--model", fooled), "--encoding", encoding,
            "--preset", preset, "--crops", "1", "--evaluations",
            str(round(config.budget * share)), "--seed", str(seed),
        )  # fmt: skip

    # Evolutions, ascents, their pictures shown to all networks, and retraining.
    for kind in KINDS:
        for seed in seeds:
            evolve(kind, [first, second] if kind == "cppn-joint" else [first], seed)
    add("ascent", "ascend", *_networks("--model", [first]), "--classes", "0:1000:10")
    for kind in ("cppn-fast", "direct-gradient", "cppn-joint", "ascent"):
        runs = [step.result for step in steps if step.name.partition("/")[0] == kind]
        where = out / f"transfer-{kind}"
        add(
            f"transfer-{kind}", "transfer", *map(str, runs), *_networks("--to", networks),
            "--out", str(where), result=where / "transfer.json",
        )  # fmt: skip
    if config.photos is not None:
        add(
            "retrain", "retrain", *_networks("--model", [first]), "--photos", config.photos,
            "--evolved", str(out / "cppn-fast" / "seed0"), "--evaluations",
            str(round(config.budget * RETRAINED)),
            "--preset", "fast", "--encoding", "cppn", "--run-dir", str(out / "retrain"), "--resume",
            result=out / "retrain" / "retrain.json",
        )  # fmt: skip
    return steps


def _networks(flag: str, networks: Sequence[tuple[str, str]]) -> list[str]:
    """The flags that name networks, and weights files if a network has one."""
    words = [word for name, _ in networks for word in (flag, name)]
    if any(file for _, file in networks):
        words += [word for _, file in networks for word in ("--weights", file or "own")]
    return words


def imagenet_rows(config: ReproduceConfig, out: Path, steps: Sequence[Step]) -> list[Row]:
    """Rows of the summary. Writes the plot of confidence over evaluations, too.

    Args:
      config: Settings of the reproduction.
      out: Directory that the commands wrote to.
      steps: Commands, all done.
    """
    evolutions = by_kind(steps, KINDS)
    rows = [row for kind, same in evolutions.items() for row in _evolution(kind, same)]
    plot_runs(out / "confidence.png", evolutions, title="Median over the 1000 classes")
    rows += _between(evolutions, named(steps, "cppn-paper/seed0"))
    rows += ascent_rows(
        named(steps, "ascent"),
        experiment="gradient ascent (Adam, log-odds), pixels",
        targets="classes, every tenth,",
    )
    joint = named(steps, "transfer-cppn-joint")
    rows += transfer_rows(named(steps, "transfer-cppn-fast"), joint, experiment="transfer, CPPN")
    for kind in ("direct-gradient", "ascent"):
        rows += transfer_rows(named(steps, f"transfer-{kind}"), experiment=f"transfer, {kind}")
    if config.photos is not None:
        rows += _retraining(named(steps, "retrain"))
    return rows


def _evolution(kind: str, steps: Sequence[Step]) -> list[Row]:
    """Rows on evolutions of one kind that differ in their seed."""
    encoding, preset, _ = KINDS[kind]
    words = "paper's settings" if preset == "paper" else f"preset {preset}"
    if kind == "cppn-joint":
        words += ", two networks at once (confidence: the lower)"
    everything = np.concatenate([confidences(step.result) for step in steps])
    count = evaluations(steps[0].result)
    experiment, seeds = f"evolution, {encoding}, {words}", ", ".join(map(str, range(len(steps))))
    paper = f"imagenet {encoding}" if preset == "paper" else ""
    sure = [int((confidences(step.result) >= 0.99).sum()) for step in steps]
    return [
        median_row(
            everything,
            experiment=experiment,
            figure=f"median confidence after {count:,} evaluations",
            step=steps[0],
            paper=paper,
            seeds=seeds,
        ),
        Row(
            experiment=experiment,
            figure="cells >= 99% per seed",
            value=", ".join(map(str, sure)),
            step=steps[0],
            seeds=seeds,
        ),
    ]


def _between(evolutions: dict[str, list[Step]], step: Step) -> list[Row]:
    """A row that compares the two encodings."""
    direct, cppn = (
        np.concatenate([confidences(each.result) for each in evolutions[kind]])
        for kind in ("direct-paper", "cppn-paper")
    )
    test = mann_whitney(cppn, direct)
    share = KINDS["direct-paper"][2]
    return [
        Row(
            experiment="CPPN against direct, paper's settings",
            figure="a CPPN elite is the more confident one (Mann-Whitney; direct had "
            f"{share:.0%} of the evaluations)",
            value=f"{test['effect']:.0%} of pairs, p {p_value(test['p'])}",
            step=step,
        )
    ]


def _retraining(step: Step) -> list[Row]:
    """Rows on evolution before and after retraining, at the same evaluations."""
    table = read_json(step.result)["rows"]
    first = table[0]
    figure_row = functools.partial(
        Row, experiment="retraining with a class of fooling images", step=step
    )
    rows = []
    for i, row in enumerate(table):
        network = f"against {row['network']}, {row['evaluations']:,} evaluations"
        rows.append(
            figure_row(
                figure=f"median confidence {network}",
                value=percent(row["median"]),
                interval=f"{percent(row['median_low'])} to {percent(row['median_high'])}",
                paper=f"retrain imagenet, {'after' if i else 'before'}",
            )
        )
        accuracy = f"{row['top1']:.1%} / {row['top5']:.1%}"
        if i:
            change = [row[name] - first[name] for name in ("top1", "top5")]
            accuracy += f" ({change[0]:+.1%} / {change[1]:+.1%})"
        rows.append(figure_row(figure="top-1 / top-5 on photographs held out", value=accuracy))
        if i:
            rows.append(
                figure_row(
                    figure="a picture against the first network is the more confident one "
                    "(Mann-Whitney)",
                    value=f"{row['first_is_larger']:.0%} of pairs, "
                    f"p {p_value(row['mann_whitney_p'])}",
                )
            )
            rows.append(
                figure_row(
                    figure="fooling images caught: trained on / held out; photographs taken for "
                    "fooling images",
                    value=f"{row['caught_trained']:.1%} / {row['caught_held_out']:.1%}; "
                    f"{row['taken']:.1%}",
                )
            )
    return rows
