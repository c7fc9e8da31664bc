"""Pages that are not in `pages/`: the commands' help, the API, and the repository's files."""

import ast
import contextlib
import functools
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import BuildError
from mkdocs.structure.files import File, Files

from qd_fool.cli import main

ROOT = Path(__file__).parent.parent
REPORTS = ("mnist_direct", "mnist_cppn")
"""Reference archives whose report page the documentation shows."""

SHOWN = (".md", ".png", ".webp", ".csv", ".json", ".jsonl", ".py", ".html", ".ipynb", ".svg")
SHARED = re.compile(r"^( +)(\w+(?:, \w+)+): (.*\n?(?:\1 +.*\n?)*)", re.M)


class SplitNames(griffe.Extension):
    """Reads `a, b: text` in a docstring's list as two items with the same text."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring before it is parsed."""
        if obj.docstring:
            obj.docstring.value = SHARED.sub(
                lambda item: "".join(f"{item[1]}{name}: {item[3]}" for name in item[2].split(", ")),
                obj.docstring.value,
            )


def on_config(config: MkDocsConfig) -> None:
    """Add the generated pages to the navigation."""
    tables = sorted(path.name for path in (ROOT / "benchmarks").glob("*.md"))
    config.nav += [
        {"Commands": "commands.md"},
        {"Reference archives": "archives/README.md"},
        {"Tables": [f"benchmarks/{name}" for name in tables]},
        {"API": [{name: f"api/{name}.md"} for name in public_names()]},
        {"Changelog": "CHANGELOG.md"},
    ]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the generated pages, and the files of the repository that pages link to."""
    files.append(File.generated(config, "commands.md", content="\n".join(_commands())))
    for module, names in public_names().items():
        shown = "\n".join(f"::: {module}.{name}\n" for name in names)
        content = f"# `{module}`\n\n::: {module}\n    options: {{members: false}}\n\n{shown}"
        files.append(File.generated(config, f"api/{module}.md", content=content))
    for archive in REPORTS:
        run = ROOT / "archives" / archive
        if main(["report", str(run), "--out", str(run / "report.html")]):
            raise BuildError(f"{run}: its report page could not be written")
    found = [ROOT / "CHANGELOG.md", *(ROOT / "qd_fool").rglob("*.schema.json")]
    for folder in ("benchmarks", "archives"):
        found += [path for path in (ROOT / folder).rglob("*") if path.suffix in SHOWN]
    for path in found:
        name = path.relative_to(ROOT).as_posix()
        files.append(File(name, str(ROOT), config.site_dir, use_directory_urls=False))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Change links from `pages/` into the repository, whose files are beside the pages here."""
    return markdown.replace("](../../", "](")


@functools.cache
def public_names() -> dict[str, list[str]]:
    """The public names by module: those that a module's `__all__` lists."""
    found = {}
    for path in sorted((ROOT / "qd_fool").rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            match node:
                case ast.Assign(targets=[ast.Name(id="__all__")], value=names):
                    found[module] = list(ast.literal_eval(names))
    return found


def _commands(*words: str) -> Iterator[str]:
    """The heading and help of a command, followed by those of its subcommands."""
    if not words:
        yield "# Commands\n\nThe output of `--help` of each command.\n"
    text = _help(words)
    yield f"{'#' * (len(words) + 2)} `{' '.join(('qd-fool', *words))}`\n\n```text\n{text}\n```\n"
    below = re.search(r"\{([a-z,]+)\}\]?$", text.splitlines()[0])
    for word in below[1].split(",") if below else ():
        yield from _commands(*words, word)


def _help(words: tuple[str, ...]) -> str:
    os.environ["COLUMNS"] = "92"
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    return printed.getvalue().rstrip()
