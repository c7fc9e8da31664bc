"""Tables in Markdown, and as columns of text on a terminal."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from rich.table import Table

from qd_fool.commands.common.plain_text import plain_text

SPECIAL = {character: f"\\{character}" for character in "\\`*[]<&"} | {"\n": " ", "\r": " "}
"""What begins markup, code, links or HTML in Markdown, as text. A `|` is escaped by tables."""


def in_markdown(text: str) -> str:
    """Return a name from a file as text for Markdown, in which no part of it is markup.

    Args:
      text: Label, model or path.
    """
    return plain_text("".join(SPECIAL.get(character, character) for character in text))


def names_in_markdown(value: Any, *, but: Collection[str] = ()) -> Any:
    """Return figures with all their texts as `in_markdown` gives them.

    Args:
      value: Dataclass, mapping, sequence or text; others stay as they are.
      but: Names of fields whose texts stay as they are.
    """
    if isinstance(value, str):
        return in_markdown(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        changed = {n: v if n in but else names_in_markdown(v, but=but) for n, v in fields.items()}
        return dataclasses.replace(value, **changed)
    if isinstance(value, Mapping):
        pairs = ((names_in_markdown(k), names_in_markdown(v, but=but)) for k, v in value.items())
        return dict(pairs)
    if isinstance(value, tuple | list):
        return type(value)(names_in_markdown(item, but=but) for item in value)
    return value


def markdown_table(
    heads: Sequence[str], rows: Sequence[Sequence[Any]], *, numbers: bool = False
) -> list[str]:
    """Return the lines of a Markdown table; a `|` in a cell is escaped.

    Args:
      heads: Head of each column.
      rows: Cells of each row.
      numbers: Whether all columns but the first hold numbers, which are aligned to the right.
    """
    rule = "---:" if numbers else "---"
    lines = [heads, ["---", *[rule] * (len(heads) - 1)], *rows]
    escaped = ([str(cell).replace("|", "\\|") for cell in line] for line in lines)
    return [f"| {' | '.join(cells)} |" for cells in escaped]


def text_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, no_wrap: bool = False
) -> Table:
    """Return a table for a console: the first column to the left, all others to the right.

    Args:
      heads: Head of each column.
      rows: Cells of each row.
      no_wrap: Whether a cell that is too wide is cut, and not broken into lines.
    """
    table = Table(box=None, pad_edge=False)
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i else "left", no_wrap=no_wrap)
    for row in rows:
        table.add_row(*row)
    return table
