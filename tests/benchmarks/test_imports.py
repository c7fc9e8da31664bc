"""Scripts that no test runs whole: what they import from the package must be there."""

import ast
import importlib

import pytest
from paths import ARCHIVES, BENCHMARKS, REPOSITORY

SCRIPTS = [*BENCHMARKS.glob("*.py"), *ARCHIVES.glob("*.py"), *(REPOSITORY / "docs").glob("*.py")]


@pytest.mark.parametrize("script", sorted(SCRIPTS), ids=lambda path: path.name)
def test_what_a_script_imports_is_there(script):
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "qd_fool":
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
