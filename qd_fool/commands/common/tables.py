"""Tables in Markdown, and as columns of text on a terminal."""

from collections.abc import Sequence
from typing import Any

from rich.table import Table


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
