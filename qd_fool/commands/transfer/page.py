"""`transfer.md`: what a transfer came to, for people; from the figures of `transfer.json` alone."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qd_fool.commands.common.tables import markdown_table
from qd_fool.files import write_text

TELLS = {
    "run": "the run",
    "index": "the number in its name",
    "wnid": "the WNID in its name or its folder's",
    "nothing": "nothing, so that the first network of --to stands in",
}


def write_page(path: Path, figures: dict[str, Any]) -> None:
    """Write the page."""
    parts = [
        "# Transfer",
        f"{figures['images']} pictures, {len(figures['networks'])} networks, "
        f"{figures['classes']} classes: at random a network is {figures['chance']:g} confident in "
        "a picture's target, and its most confident class is the target as often. A network is "
        "*fooled* by a picture if its confidence in the picture's target is at least the "
        "threshold. Brackets are bootstrap intervals (95%) of the median.",
        f"```\n{figures['command']}\n```",
        *[f"- Note: {note}." for note in figures["notes"]],
        "## Networks",
        _networks(figures),
    ]
    if len(figures["sources"]) > 1:
        parts += ["## All sources", _overview(figures)]
    for source in figures["sources"]:
        parts += _of_source(source, figures)
    parts += [
        "## Pictures that fool all",
        f"{len(figures['fool_all'])} of {figures['images']} pictures fool every network that was "
        "asked at >= 0.99; see `fool_all.png`. They are listed in `transfer.json`; every answer is "
        "in `transfer.csv`.",
    ]
    write_text(path, ["\n\n".join(parts)])


def floored(value: float, digits: int) -> str:
    """`0.9999`: never rounded up, least of all to 1."""
    # A hair more first: 0.9 is a little less than nine tenths.
    return f"{math.floor(value * 10**digits + 1e-9) / 10**digits:.{digits}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return "\n".join(markdown_table(head, rows, numbers=True))


def _networks(figures: dict[str, Any]) -> str:
    rows = []
    for network in figures["networks"]:
        size = network["input_size"]
        enlarged = network["images_enlarged"]
        rows.append(
            (
                network["name"],
                network["model"],
                network["weights"],
                network["weights_sha256"][:12],
                f"{size}x{size}" if size else "not loaded",
                f"{enlarged}, to {network['enlarged_to']}" if enlarged else "none",
            )
        )
    head = ("network", "model", "weights", "sha256", "input", "pictures enlarged")
    return _table(head, rows)


def _overview(figures: dict[str, Any]) -> str:
    names = [network["name"] for network in figures["networks"]]
    rows = []
    for source in figures["sources"]:
        cells = []
        for name in names:
            its = source["networks_fooled"][name]
            own = "\\*" if name in source["networks"] else ""
            cells.append(
                f"{floored(its['median_confidence'], 4)}{own} ({its['fooled']['0.99']})"
                if its
                else "-"
            )
        rows.append((source["name"], source["images"], *cells))
    return (
        "Median confidence in the target, and in parentheses how many pictures fool the network at "
        ">= 0.99; \\*: the network that they were made against. `matrix.png` shows the same.\n\n"
        + _table(("source", "pictures", *names), rows)
    )


def _of_source(source: dict[str, Any], figures: dict[str, Any]) -> list[str]:
    """A section on a run or a folder."""
    told = "; ".join(f"{n} by {TELLS[way]}" for way, n in source["targets_told_by"].items())
    facts = [f"{source['images']} pictures of `{source['path']}` ({source['kind']})"]
    if source["networks"]:
        facts.append(f"made against {' and '.join(source['networks'])}")
    if source["evaluations"]:
        facts.append(f"{source['evaluations']:,} counted evaluations")
    if source.get("seed") is not None:
        facts.append(f"seed {source['seed']}")
    facts.append(f"targets told: {told}")
    if (difference := source["scores_differ_from_recorded_by"]) is not None:
        facts.append(f"confidences differ from those that the run wrote down by {difference:.1g}")
    parts = [f"## {source['name']}", "; ".join(facts) + ".", _columns(source)]
    if source["pairs"]:
        a = source["pairs"][0]["a"]
        why = "which they were made against" if source["networks"] else "the first of --to"
        parts += [f"A is {a}, {why}; B another network:", _pairs(source)]
    names = [network["name"] for network in figures["networks"]]
    matrix = zip(names, source["fool_both_at_99"], strict=True)
    rows = [(name, *("-" if n is None else n for n in row)) for name, row in matrix]
    parts += [
        "Pictures that fool both of two networks at >= 0.99 (on the diagonal: the one):",
        _table(("", *names), rows),
        f"All that were asked: {source['fool_all_at_99']}.",
    ]
    return parts


def _columns(source: dict[str, Any]) -> str:
    rows = []
    for name, its in source["networks_fooled"].items():
        own = " (its own)" if name in source["networks"] else ""
        if its is None:
            rows.append((name + own, *["-"] * 4))
            continue
        low, high = its["interval_95"]
        rows.append(
            (
                name + own,
                f"{floored(its['median_confidence'], 6)} [{floored(low, 6)}, {floored(high, 6)}]",
                *its["fooled"].values(),
                f"{its['argmax_is_target']:.1%}",
            )
        )
    head = ("network", "median confidence", ">= 0.99", ">= 0.9999", "target is its top class")
    return _table(head, rows)


def _pairs(source: dict[str, Any]) -> str:
    head = ["B"]
    for threshold in source["pairs"][0]["at"]:
        head += [f"fool both >= {threshold}", "A only", "B only"]
    rows = []
    for pair in source["pairs"]:
        counts = pair["at"].values()
        rows.append((pair["b"], *(c[k] for c in counts for k in ("both", "a_only", "b_only"))))
    return _table(head, rows)
