"""`transfer.md`: the figures of a transfer, for people."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qd_fool.commands.common.tables import markdown_table, names_in_markdown
from qd_fool.commands.transfer.figures import SourceRow, Summary
from qd_fool.files import write_text
from qd_fool.judge.transfer import SURE
from qd_fool.models.sides import size_in_words

TARGET_FROM = {
    "run": "the run",
    "index": "the number in its name",
    "wnid": "the WNID in its name or its folder's",
    "nothing": "nothing: the top class of the first network of --to is the target",
}


def write_page(path: Path, summary: Summary) -> None:
    """Write the page.

    Args:
      path: File to write.
      summary: Figures of the transfer.
    """
    command = summary.command.replace("`", "'")
    summary = names_in_markdown(summary, but=("command", "targets_told_by", "fooled", "at"))
    parts = [
        "# Transfer",
        f"{summary.images} pictures, {len(summary.networks)} networks, "
        f"{summary.classes} classes. A network that guesses is {summary.chance:g} confident "
        "in a picture's target, and its top class is the target as often. A network is "
        "*fooled* by a picture if its confidence in the picture's target is at least the "
        "threshold. Brackets are bootstrap intervals (95%) of the median.",
        f"```\n{command}\n```",
        *[f"- Note: {note}." for note in summary.notes],
        "## Networks",
        _networks(summary),
    ]
    if len(summary.sources) > 1:
        parts += ["## All sources", _overview(summary)]
    for source in summary.sources:
        parts += _source_section(source, summary.names)
    parts += [
        "## Pictures that fool all",
        f"{len(summary.fool_all)} of {summary.images} pictures fool every network that was "
        "asked at >= 0.99; see `fool_all.png`. They are listed in `transfer.json`; every answer is "
        "in `transfer.csv`.",
    ]
    write_text(path, ["\n\n".join(parts)])


def floored(value: float, digits: int) -> str:
    """A confidence with some digits, such as `0.9999`, rounded down so that it never shows as 1."""
    # The float 0.9 is a little less than nine tenths, hence the small addition.
    return f"{math.floor(value * 10**digits + 1e-9) / 10**digits:.{digits}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return "\n".join(markdown_table(head, rows, numbers=True))


def _networks(summary: Summary) -> str:
    """A table of the networks."""
    rows = []
    for network in summary.networks:
        size, enlarged = network.input_size, network.images_enlarged
        rows.append(
            (
                network.name,
                network.model,
                network.weights,
                network.weights_sha256[:12],
                size_in_words(size) if size else "not loaded",
                f"{enlarged}, to {network.enlarged_to}" if enlarged else "none",
            )
        )
    head = ("network", "model", "weights", "sha256", "input", "pictures enlarged")
    return _table(head, rows)


def _overview(summary: Summary) -> str:
    """A table of all sources and networks."""
    rows = []
    for source in summary.sources:
        cells = []
        for name in summary.names:
            fooled = source.networks_fooled[name]
            if fooled is None:
                cells.append("-")
                continue
            star = "\\*" if name in source.networks else ""
            median, count = floored(fooled.median_confidence, 4), fooled.fooled[str(SURE)]
            cells.append(f"{median}{star} ({count})")
        rows.append((source.name, source.images, *cells))
    return (
        "Median confidence in the target, and in parentheses the number of pictures that fool the "
        "network at >= 0.99; \\* marks the network that they were made against. See "
        "`matrix.png`.\n\n" + _table(("source", "pictures", *summary.names), rows)
    )


def _source_section(source: SourceRow, names: Sequence[str]) -> list[str]:
    """The section on a run or a folder.

    Args:
      source: Figures of the source.
      names: Names of all networks, in order.
    """
    # Facts of the source, in one sentence.
    found = "; ".join(f"{n} by {TARGET_FROM[way]}" for way, n in source.targets_told_by.items())
    facts = [f"{source.images} pictures of {source.path} ({source.kind})"]
    if source.networks:
        facts.append(f"made against {' and '.join(source.networks)}")
    if source.run and source.run.evaluations:
        facts.append(f"{source.run.evaluations:,} counted evaluations")
    if source.run and source.run.seed is not None:
        facts.append(f"seed {source.run.seed}")
    facts.append(f"targets from: {found}")
    if (difference := source.scores_differ_from_recorded_by) is not None:
        facts.append(f"confidences differ from those that the run recorded by {difference:.1g}")
    parts = [f"## {source.name}", "; ".join(facts) + ".", _fooled_table(source)]

    # Pairs with the network that the pictures were made against.
    if source.pairs:
        a = source.pairs[0].a
        role = "which they were made against" if source.networks else "the first network of --to"
        parts += [f"A is {a}, {role}; B is another network:", _pairs_table(source)]

    # Every pair of networks.
    matrix = zip(names, source.fool_both_at_99, strict=True)
    rows = [(name, *("-" if n is None else n for n in row)) for name, row in matrix]
    parts += [
        "Pictures that fool both of two networks at >= 0.99 (on the diagonal: one network):",
        _table(("", *names), rows),
        f"Pictures that fool all networks that were asked: {source.fool_all_at_99}.",
    ]
    return parts


def _fooled_table(source: SourceRow) -> str:
    """A table with one row per network, and how far the pictures of the source fool it."""
    rows = []
    for name, fooled in source.networks_fooled.items():
        label = f"{name} (its own)" if name in source.networks else name
        if fooled is None:
            rows.append((label, *["-"] * 4))
            continue
        low, high = (floored(value, 6) for value in fooled.interval_95)
        rows.append(
            (
                label,
                f"{floored(fooled.median_confidence, 6)} [{low}, {high}]",
                *map(str, fooled.fooled.values()),
                f"{fooled.argmax_is_target:.1%}",
            )
        )
    head = ("network", "median confidence", ">= 0.99", ">= 0.9999", "target is its top class")
    return _table(head, rows)


def _pairs_table(source: SourceRow) -> str:
    """A table with one row per pair: pictures that fool both networks, or only one."""
    head = ["B"]
    for threshold in source.pairs[0].at:
        head += [f"fool both >= {threshold}", "A only", "B only"]
    rows = []
    for pair in source.pairs:
        counts = pair.at.values()
        rows.append((pair.b, *(n for c in counts for n in (c.both, c.a_only, c.b_only))))
    return _table(head, rows)
