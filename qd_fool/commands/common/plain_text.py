"""Text for a terminal: what files and names bring along can't move a cursor or change a colour."""

import unicodedata

HARMLESS = "\u200c\u200d\u00ad"
"""Format characters that only join or part letters."""

KEPT = "\n\t"
"""Control characters that are part of plain text."""


def is_control(character: str) -> bool:
    """Whether a character does something else than be seen: a control, a format, a surrogate.

    Escapes of terminals begin with control characters. Marks that reverse the direction of writing
    are format characters; the joiners of scripts and emoji, which are harmless, are format
    characters, too.

    Args:
      character: One character.
    """
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cs", "Zl", "Zp") or (kind == "Cf" and character not in HARMLESS)


def plain_text(text: str, *, lines: bool = True) -> str:
    r"""The text with control characters as escapes, such as `\x1b`.

    Args:
      text: Text that may hold names from files.
      lines: Whether the text may have several lines; otherwise ends of lines are escaped, too.
    """
    kept = KEPT if lines else ""
    if text.isprintable():
        return text
    return "".join(
        c if c in kept or not is_control(c) else c.encode("unicode_escape").decode("ascii")
        for c in text
    )
