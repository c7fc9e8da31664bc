"""What is read from `transfer.json` for a summary."""

from typing import Any

import numpy as np

from qd_fool.commands.reproduce.steps import Step, rows_of
from qd_fool.commands.reproduce.summary import Row, p_value
from qd_fool.files import read_json
from qd_fool.judge.statistics import mann_whitney
from qd_fool.scoring.confidence import percent


def transfer_rows(single: Step, joint: Step | None = None, *, experiment: str) -> list[Row]:
    """Counts of pictures of one network on others, and of pictures of two on those held out.

    Args:
      single: a transfer of runs against one network, A.
      joint: a transfer of runs against A and another; those that neither was made against are held
        out.
      experiment: name of the rows.
    """
    transfer = read_json(single.result)
    source = transfer["sources"][0]["networks"][0]
    rows = []
    for other, at in _counts(transfer).items():
        told = "; ".join(
            f"{counts['both']} both, {counts['a_only']} only {source} at >= {float(t):.2%}"
            for t, counts in at.items()
        )
        images = next(iter(at.values()))["images"]
        rows.append(
            Row(
                experiment,
                f"of {images} pictures evolved against {source}, fool {source} and {other}",
                told,
                single,
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
    """Confidence of a held-out network in pictures of one network, and of two."""
    ours = {step.name: _confidence(step, other) for step in (single, joint)}
    alone, both = ours[single.name], ours[joint.name]
    test = mann_whitney(both, alone)
    return Row(
        experiment,
        f"confidence of {other}, held out: pictures of one network, of two",
        f"{percent(float(np.median(alone)))}, {percent(float(np.median(both)))} in the median; "
        f"{(alone >= 0.99).mean():.1%}, {(both >= 0.99).mean():.1%} at >= 99%; Mann-Whitney "
        f"{test['effect']:.0%}, p {p_value(test['p'])}",
        joint,
        seeds=f"{_seeds(single)}; {_seeds(joint)}",
    )


def _confidence(step: Step, network: str) -> np.ndarray:
    rows = rows_of(step.result.with_name("transfer.csv"))
    return np.asarray([float(row["confidence"]) for row in rows if row["network"] == network])


def _counts(transfer: dict[str, Any]) -> dict[str, dict[str, dict[str, int]]]:
    """By the other network and threshold, added up over the runs."""
    total: dict[str, dict[str, dict[str, int]]] = {}
    for source in transfer["sources"]:
        for pair in source["pairs"]:
            for threshold, counts in pair["at"].items():
                sums = total.setdefault(pair["b"], {}).setdefault(threshold, {})
                for name, count in counts.items():
                    sums[name] = sums.get(name, 0) + count
    return total


def _seeds(step: Step) -> str:
    seeds = [source.get("seed") for source in read_json(step.result)["sources"]]
    return ", ".join(str(seed) for seed in seeds if seed is not None)
