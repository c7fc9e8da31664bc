"""Plain English, as far as a program can check it: words that texts and names do not use."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import REPOSITORY

FOLDERS = ("qd_fool", "benchmarks", "docs", "tests")
PRONOUNS = {"told", "its", "own", "some", "mine", "theirs", "ours", "what", "which", "those"}
"""Names that say nothing. A name is a noun of the field."""

BEGINS_WITH_OF = re.compile(r"^\s*(?:[\w*]+(?:, [\w*]+)*: )?of\b", re.M | re.I)
"""The beginning of a line, or of an argument's text, with the word "of"."""

DIALECT = re.compile(
    r"\b(?:likewise|whoever|goe?s? on with|to go on\b|(?:is|are) told|by themselves"
    r"|(?:one|a) (?:cell|crop|digit|line|map|picture|row|sentence) an? \w+)",
    re.I,
)
"""Words to avoid. "One row a network" should be "one row per network"."""

CHECKER = "tests/test_prose.py"


def python_files(folder: str) -> list[Path]:
    found = sorted((REPOSITORY / folder).rglob("*.py"))
    return [path for path in found if path.relative_to(REPOSITORY).as_posix() != CHECKER]


def texts_of(source: str) -> Iterator[tuple[int, str]]:
    """Docstrings, texts below fields, and comments, with their lines."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not _continues(source, token.start):
            yield token.start[0], token.string.lstrip("# ")


def _continues(source: str, start: tuple[int, int]) -> bool:
    """Whether a comment is a whole line below another comment."""
    lines = source.splitlines()
    line, column = start
    whole = not lines[line - 1][:column].strip()
    return whole and line > 1 and lines[line - 2].strip().startswith("#")


def problems_in(text: str) -> Iterator[tuple[int, str]]:
    """Words to avoid in a text, with the number of lines before each."""
    for match in BEGINS_WITH_OF.finditer(text):
        before, line = text[: match.start()].rstrip(), match[0]
        # A line may begin with "of" if it continues a sentence.
        if not before or before.endswith((".", ":")) or ":" in line:
            yield text[: match.start()].count("\n"), line.strip()
    for match in DIALECT.finditer(text):
        yield text[: match.start()].count("\n"), match[0]


@pytest.mark.parametrize("folder", FOLDERS)
def test_texts_are_plain(folder):
    wrong = [
        f"{path.relative_to(REPOSITORY)}:{line + further}: {words}"
        for path in python_files(folder)
        for line, text in texts_of(path.read_text(encoding="utf-8"))
        for further, words in problems_in(text)
    ]
    assert not wrong, "\n".join([f"{len(wrong)} texts:", *wrong])


@pytest.mark.parametrize("folder", FOLDERS)
def test_names_are_nouns(folder):
    wrong = []
    for path in python_files(folder):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                    if name in PRONOUNS:
                        wrong.append(f"{path.relative_to(REPOSITORY)}:{node.lineno}: {name}")
    assert not wrong, "\n".join([f"{len(wrong)} names:", *wrong])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Of all networks.", ["Of"]),
        ("Args:\n  scorer: of the run.", ["scorer: of"]),
        ("The names\nof all networks.", []),
        ("Write one row a network.", ["one row a network"]),
        ("Write one row per network.", []),
        ("The error is told to whoever asks.", ["is told", "whoever"]),
    ],
)
def test_the_check_itself(text, words):
    assert [found for _, found in problems_in(text)] == words
