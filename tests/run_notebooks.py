"""Execute notebooks, as `make notebooks` does in place, and as the tests do with small budgets.

    python tests/run_notebooks.py archives/*.ipynb
    python tests/run_notebooks.py archives/inspect_archive.ipynb --set ARCHIVE=mnist_direct

A setting replaces an assignment in the cell that is tagged "parameters", and stays there.
"""

import argparse
import ast
import re
from pathlib import Path

import nbformat
from nbclient import NotebookClient

TAG = "parameters"


def with_settings(notebook, settings):
    """A copy with other values in its first cell of settings.

    Raises:
      ValueError: there is no such setting.
    """
    notebook = nbformat.from_dict(notebook)
    cell = next(c for c in notebook.cells if TAG in c.metadata.get("tags", ()))
    for name, value in settings.items():
        line = re.compile(rf"^{re.escape(name)} = .*?(?=  #|$)", re.MULTILINE)
        cell.source, count = line.subn(lambda _, n=name, v=value: f"{n} = {v!r}", cell.source)
        if count != 1:
            raise ValueError(f"{name} is assigned {count} times in {cell.source!r}, expected once")
    return notebook


def executed(notebook, *, folder, timeout=1800):
    """A notebook with outputs, run by a fresh kernel in `folder`.

    Raises:
      nbclient.exceptions.CellExecutionError: a cell failed.
    """
    notebook = nbformat.from_dict(notebook)
    client = NotebookClient(
        notebook,
        kernel_name="python3",
        timeout=timeout,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    # What the kernel says of itself would change with every machine.
    notebook.metadata["language_info"] = {"name": "python"}
    return notebook


def main():
    """Execute notebooks in place."""
    parser = argparse.ArgumentParser(description="Execute notebooks in place.")
    parser.add_argument("notebooks", type=Path, nargs="+")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    settings = {}
    for pair in args.set:
        name, text = pair.split("=", 1)
        try:
            settings[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            settings[name] = text  # a word
    for path in args.notebooks:
        notebook = with_settings(nbformat.read(path, as_version=4), settings)
        notebook = executed(notebook, folder=path.parent)
        nbformat.validate(notebook)
        path.write_text(nbformat.writes(notebook, indent=1) + "\n", encoding="utf-8")
        print(f"executed {path} ({path.stat().st_size / 1e3:.0f} kB)")


if __name__ == "__main__":
    main()
