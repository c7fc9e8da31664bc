"""Users' encodings, emitters and networks: files of `--import`, and packages' entry points.

Importing a file runs it. So only files that the command line names are imported. A run directory
names the files that its run used, but no file is imported because of that.
"""

import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import itertools
import sys
import traceback
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from qd_fool.commands.common.settings import UNRECORDED
from qd_fool.emitters.table import EMITTERS
from qd_fool.encodings.table import ENCODINGS
from qd_fool.errors import UserError
from qd_fool.models.zoo import ZOO
from qd_fool.runs.directory import recorded_imports, with_imports

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
    """The files of `--import` among a command's words, which are parsed after the imports.

    Args:
      words: Words of the command line.
    """
    files = []
    for word, after in itertools.pairwise([*words, ""]):
        if word == "--import" and after:
            files.append(Path(after))
        elif word.startswith("--import="):
            files.append(Path(word.removeprefix("--import=")))
    return files


def import_file(path: Path) -> types.ModuleType:
    """Run a Python file, once in a process. Files beside it can be imported from it.

    Args:
      path: Path of the file.

    Raises:
      UserError: There is no such file, or it has an error. The error then names the line.
    """
    if not path.is_file():
        raise UserError(f"--import {path}: no such file")
    real = path.resolve()
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) and Path(str(module.__file__)).resolve() == real:
            return module
    # The file's own name lets other files import it, unless another module has the name.
    name = path.stem if _is_free(path.stem, real) else f"_file_{real}"
    spec = importlib.util.spec_from_file_location(name, real)
    if spec is None or spec.loader is None:
        raise UserError(f"--import {path}: expected a Python file, with a name that ends in .py")
    module = importlib.util.module_from_spec(spec)
    if str(real.parent) not in sys.path:
        sys.path.append(str(real.parent))
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # any error of the user's file is the user's mistake
        del sys.modules[name]
        reason = str(error) or type(error).__name__
        if isinstance(error, SyntaxError):
            reason = error.msg
        elif not isinstance(error, UserError | ValueError):
            reason = f"{type(error).__name__}: {error}"
        place = _line_of(error, real)
        raise UserError(f"--import {path}{place}: {' '.join(reason.split())}") from error
    return module


def _is_free(name: str, file: Path) -> bool:
    """Whether `import NAME` finds the file, or nothing."""
    if not name.isidentifier() or name in sys.modules:
        return False
    found = importlib.util.find_spec(name)
    return found is None or found.origin == str(file)


def _line_of(error: BaseException, file: Path) -> str:
    """`, line 3`: the last line of the file that was reached."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f", line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""


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


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex digits.

    Args:
      path: Path of the file.

    Raises:
      UserError: The file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"--import {path}: cannot be read ({error.strerror})") from error


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
        if isinstance(name, str) and name not in table and run.get("imports"):
            raise UserError(with_imports(run, f"unknown {kind} {name!r}"))
