"""What users may rely on: a name is public if the `__all__` of its module lists it."""

import ast
import importlib
import inspect
import json
import re

import pytest
from paths import ARCHIVES, REPOSITORY

DOCS = sorted((REPOSITORY / "docs" / "pages").glob("*.md"))
COMMAND = ("qd_fool.cli", "main")


def python_of(path):
    """The Python that a page or a notebook shows."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.S | re.M))
    cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    lines = [line for cell in cells for line in "".join(cell["source"]).split("\n")]
    return "\n".join(line for line in lines if not line.startswith("%"))


def imported_names(code):
    """`(module, name)` for each name that a piece of code imports from the package."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "qd_fool":
            yield from ((node.module, alias.name) for alias in node.names)


@pytest.mark.parametrize(
    "path",
    [REPOSITORY / "README.md", *DOCS, *sorted(ARCHIVES.glob("*.ipynb"))],
    ids=lambda path: path.name,
)
def test_pages_and_notebooks_use_public_names_alone(path):
    for module, name in imported_names(python_of(path)):
        public = getattr(importlib.import_module(module), "__all__", ())
        assert name in public or (module, name) == COMMAND


def test_pages_and_notebooks_were_read():
    shown = [*DOCS, *ARCHIVES.glob("*.ipynb")]
    assert len({pair for path in shown for pair in imported_names(python_of(path))}) > 20


def test_public_names_exist():
    found = 0
    for path in sorted((REPOSITORY / "qd_fool").rglob("*.py")):
        if "__all__" not in path.read_text(encoding="utf-8"):
            continue
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isfunction(value):
                assert value.__doc__, f"{module.__name__}.{name} has no docstring"
            found += 1
    assert found > 40
