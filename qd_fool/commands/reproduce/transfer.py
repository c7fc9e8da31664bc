"""Rows of the summary on transfer, from `transfer.json` and `transfer.csv`."""

from typing import Any

import numpy as np

from qd_fool.commands.reproduce.steps import Step, rows_of
from qd_fool.commands.reproduce.summary import Row, p_value
from qd_fool.files import read_json
from qd_fool.judge.statistics import mann_whitney
from qd_fool.judge.transfer import PairCounts
from qd_fool.scoring.confidence import percent


def transfer_rows(single: Step, joint: Step | None = None, *, experiment: str) -> list[Row]:
    """Rows on pictures against one network, shown to others; and against two, shown to a third.

    Args:
      single: Transfer of runs against one network, A.
      joint: Transfer of runs against A and another network. All other networks are held out.
      experiment: Name of the experiment.
    """
    transfer = read_json(single.result)
    source = transfer["sources"][0]["networks"][0]
    rows = []
    for other, at in _counts(transfer).items():
        counted = "; ".join(
            f"{counts.both} both, {counts.a_only} only {source} at >= {float(t):.2%}"
            for t, counts in at.items()
        )
        images = next(iter(at.values())).images
        rows.append(
            Row(
                experiment=experiment,
                figure=f"pictures that fool {source} and {other}, out of {images} evolved against "
                f"{source}",
                value=counted,
                step=single,
                paper="transfer",
                seeds=_seeds(single),
            )
        )
    if joint is not None:
        fooled = set(read_json(joint.result)["sources"][0]["networks"])
        held_out = [network["name"] for network in transfer["networks"]]
        rows += [
            _joint_row(single, joint, name, experiment=experiment)
            for name in held_out
            if name not in fooled
        ]
    return rows


def _joint_row(single: Step, joint: Step, other: str, *, experiment: str) -> Row:
    """A row on the confidence of a held-out network in pictures of one network, and of two."""
    alone, both = _confidence(single, other), _confidence(joint, other)
    medians = ", ".join(percent(float(np.median(values))) for values in (alone, both))
    test = mann_whitney(both, alone)
    return Row(
        experiment=experiment,
        figure=f"confidence of {other}, held out: pictures of one network, of two",
        value=f"{medians} in the median; "
        f"{(alone >= 0.99).mean():.1%}, {(both >= 0.99).mean():.1%} at >= 99%; Mann-Whitney "
        f"{test['effect']:.0%}, p {p_value(test['p'])}",
        step=joint,
        seeds=f"{_seeds(single)}; {_seeds(joint)}",
    )


def _confidence(step: Step, network: str) -> np.ndarray:
    """The confidence of a network in each picture of a transfer."""
    rows = rows_of(step.result.with_name("transfer.csv"))
    return np.asarray([float(row["confidence"]) for row in rows if row["network"] == network])


def _counts(transfer: dict[str, Any]) -> dict[str, dict[str, PairCounts]]:
    """The counts by the other network and the threshold, summed over the runs."""
    total: dict[str, dict[str, PairCounts]] = {}
    for source in transfer["sources"]:
        for pair in source["pairs"]:
            at = total.setdefault(pair["b"], {})
            for threshold, stored in pair["at"].items():
                counts = PairCounts(**stored)
                at[threshold] = _added(at[threshold], counts) if threshold in at else counts
    return total


def _added(a: PairCounts, b: PairCounts) -> PairCounts:
    """The sums of two tables of counts."""
    return PairCounts(*(m + n for m, n in zip(vars(a).values(), vars(b).values(), strict=True)))


def _seeds(step: Step) -> str:
    """The seeds of the runs of a transfer."""
    seeds = [source.get("seed") for source in read_json(step.result)["sources"]]
    return ", ".join(str(seed) for seed in seeds if seed is not None)
