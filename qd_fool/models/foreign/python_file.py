"""A network from a function in a user's Python file: `python:FILE.py:FUNCTION`."""

import dataclasses
from pathlib import Path
from typing import Any

from qd_fool.errors import UserError
from qd_fool.models.foreign.callable import host_scorer
from qd_fool.models.foreign.settings import file_of
from qd_fool.models.foreign.view import read_view
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import Size, sides_of
from qd_fool.user_files import imported_file, sha256_of


def from_python_file(
    place: str,
    *,
    name: str,
    labels: Path | None,
    input_size: Size | None,
    layout: str,
    channels: str,
    mean: Any,
    std: Any,
    outputs: str,
    output: str | None,
) -> HostScorer | Scorer:
    """Read a network from a Python file that the command line has named.

    Only a file that was run already is read: the command runs those that its own words name, and
    none because a run directory names it.

    Args:
      place: `FILE.py:FUNCTION`. FUNCTION is a function, or a network, as `from_callable` makes it.
      name: Name of the network.
      labels: File of labels, or None.
      input_size: Side of the pictures, or height and width.
      layout: Order of the axes.
      channels: Order of the channels.
      mean: One number or one per channel, or None.
      std: One number or one per channel, or None.
      outputs: Kind of the returned numbers.
      output: Name of an output, which a function does not have.

    Raises:
      UserError: The file was not run, has no such function, or a setting does not fit.
    """
    file, word = Path(file_of(name) or ""), place.rpartition(":")[2]
    module = imported_file(file)
    if module is None:
        raise UserError(
            f"{file} is code, and only a command line that names it runs it: give --model {name}, "
            f"or --import {file}"
        )
    found = getattr(module, word, None)
    if found is None:
        names = [n for n, value in vars(module).items() if callable(value) and n[0] != "_"]
        raise UserError(f"{name}: the file has no {word!r}: it has {', '.join(names) or 'nothing'}")
    facts: dict[str, Any] = {
        "weights": file.name,
        "weights_sha256": sha256_of(file, flag="--model"),
    }
    given = {"labels": labels, "input-size": input_size, "mean": mean, "std": std, "output": output}
    given |= {"layout": layout, "channels": channels, "outputs": outputs}
    if isinstance(found, HostScorer | Scorer):
        for flag, value in given.items():
            if value not in (None, "auto"):
                raise UserError(f"--{flag} {value}: {name} states its facts, leave it out")
        return dataclasses.replace(found, name=name, **facts)
    if not callable(found):
        raise UserError(f"{name} is a {type(found).__name__}: expected a function")
    if output is not None:
        raise UserError(f"--output {output}: a function returns one array, leave it out")
    if input_size is None:
        raise UserError(f"{name}: how large are its pictures? expected --input-size")
    depth = 1 if channels == "gray" else 3
    view = read_view(
        (*sides_of(input_size), depth),
        layout=layout,
        channels=channels,
        mean=mean,
        std=std,
        source=name,
    )
    return host_scorer(
        found,
        view=view,
        labels=labels,
        gradient=getattr(found, "gradient", None),
        outputs=outputs,
        chunk=getattr(found, "chunk", 50),
        name=name,
        file=file,
        **facts,
    )
