"""Users' encodings, emitters and networks: files of `--import`, and packages' entry points.

Importing a file runs it. So only files that the command line names are imported. A run directory
names the files that its run used, but no file is imported because of that.
"""

import dataclasses
import importlib.metadata
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from qd_fool.commands.common.settings import UNRECORDED
from qd_fool.emitters.table import EMITTERS
from qd_fool.encodings.table import ENCODINGS
from qd_fool.errors import UserError
from qd_fool.models.foreign.settings import CODE, file_of, is_address, is_foreign
from qd_fool.models.zoo import ZOO
from qd_fool.runs.directory import recorded_imports, with_imports
from qd_fool.user_files import sha256_of

GROUP = "qd_fool"
"""Entry points of installed packages: each is a module that registers something."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Importing:
    """A command that can use the things that users' files register."""

    imports: Annotated[
        tyro.conf.UseAppendAction[tuple[Path, ...]], tyro.conf.arg(name="import", metavar="FILE")
    ] = dataclasses.field(default=(), metadata=UNRECORDED)
    """Python file that registers encodings, emitters or networks. Repeat the flag for several."""


def named_files(words: Sequence[str]) -> list[Path]:
    """The files that a command's words name as code, which are run before the words are parsed.

    These are the files of `--import`, and of networks `python:FILE.py:FUNCTION` and
    `torch:FILE.py:FUNCTION`.

    Args:
      words: Words of the command line.
    """
    files = []
    for word, after in itertools.pairwise([*words, ""]):
        if word == "--import" and after:
            files.append(Path(after))
        elif word.startswith("--import="):
            files.append(Path(word.removeprefix("--import=")))
        elif (name := _value(word)).startswith(CODE) and (file := file_of(name)) is not None:
            files.append(file)
    return list(dict.fromkeys(files))


def named_places(words: Sequence[str]) -> set[str]:
    """The names of services and of importable modules among a command's words.

    Args:
      words: Words of the command line.
    """
    names = map(_value, words)
    return {name for name in names if is_address(name) or name.startswith("torch:")}


def _value(word: str) -> str:
    """`VALUE` for `--flag=VALUE`, else the word."""
    return word.partition("=")[2] if word.startswith("--") else word


def import_packages() -> None:
    """Import the modules that installed packages register through the entry-point group `qd_fool`.

    Raises:
      UserError: A package has an error; the message names the package.
    """
    for point in importlib.metadata.entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:
            package = point.dist.name if point.dist else point.value
            raise UserError(
                f"package {package}: its entry point {point.name!r} of the group {GROUP} cannot be "
                f"loaded ({type(error).__name__}: {error})"
            ) from error


def imports_record(files: Sequence[Path]) -> list[dict[str, str]]:
    """The path and the SHA-256 of imported files, for run.json.

    Args:
      files: Files of `--import`.
    """
    return [{"path": str(path), "sha256": sha256_of(path)} for path in files]


def import_differences(run: Mapping[str, Any], files: Sequence[Path]) -> list[str]:
    """Differences between imported files and those of a run, one phrase per file.

    Args:
      run: Contents of run.json.
      files: Files of `--import` that are given now.
    """
    given = {sha256_of(path): path for path in files}
    found = []
    for name, sha256 in recorded_imports(run):
        same = [known for known, path in given.items() if path.name == Path(name).name]
        if sha256 not in given and same:
            found.append(
                f"--import {given[same[0]]} has sha256 {same[0][:12]}..., the run has "
                f"{sha256[:12]}..."
            )
    return found


def refuse_unknown(run: Mapping[str, Any], *, emitters: bool = True) -> None:
    """Check that the encoding, networks and emitters of a run are registered.

    Args:
      run: Contents of run.json.
      emitters: Whether to check the emitters, too.

    Raises:
      UserError: One is not registered; the error names the file to import.
    """
    config = run["config"]
    words = str(config.get("emitters") or "").split(",")
    parts = [word.strip().partition(":")[0] for word in words if word and emitters]
    names: list[tuple[str, Any, Any]] = [
        ("encoding", ENCODINGS, config.get("encoding")),
        *(("model", ZOO, name) for name in (config.get("model"), *(config.get("also") or ()))),
        *(("emitter", EMITTERS, name) for name in parts),
    ]
    for kind, table, name in names:
        if not isinstance(name, str) or (kind == "model" and is_foreign(name)):
            continue
        if name not in table and run.get("imports"):
            raise UserError(with_imports(run, f"unknown {kind} {name!r}"))
