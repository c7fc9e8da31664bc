"""Python files of users: run once, and only if the command line names them."""

import hashlib
import importlib.util
import sys
import traceback
import types
from pathlib import Path

from qd_fool.errors import UserError


def import_file(path: Path, *, flag: str = "--import") -> types.ModuleType:
    """Run a Python file, once in a process. Files beside it can be imported from it.

    Args:
      path: Path of the file.
      flag: Flag that names the file, for errors.

    Raises:
      UserError: There is no such file, or it has an error. The error then names the line.
    """
    if not path.is_file():
        raise UserError(f"{flag} {path}: no such file")
    real = path.resolve()
    if (module := imported_file(path)) is not None:
        return module
    # The file's own name lets other files import it, unless another module has the name.
    name = path.stem if _is_free(path.stem, real) else f"_file_{real}"
    spec = importlib.util.spec_from_file_location(name, real)
    if spec is None or spec.loader is None:
        raise UserError(f"{flag} {path}: expected a Python file, with a name that ends in .py")
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
        place = line_of(error, real)
        raise UserError(f"{flag} {path}{place}: {' '.join(reason.split())}") from error
    return module


def imported_file(path: Path) -> types.ModuleType | None:
    """Return the module that a file has become in this process; None if it was not run.

    Args:
      path: Path of the file.
    """
    real = path.resolve()
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) and Path(str(module.__file__)).resolve() == real:
            return module
    return None


def _is_free(name: str, file: Path) -> bool:
    """Whether `import NAME` finds the file, or nothing."""
    if not name.isidentifier() or name in sys.modules:
        return False
    found = importlib.util.find_spec(name)
    return found is None or found.origin == str(file)


def line_of(error: BaseException, file: Path) -> str:
    """`, line 3`: the last line of the file that was reached."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return f", line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return f", line {lines[-1]}" if lines else ""


def sha256_of(path: Path, *, flag: str = "--import") -> str:
    """The SHA-256 of a file, in hex digits.

    Args:
      path: Path of the file.
      flag: Flag that names the file, for errors.

    Raises:
      UserError: The file cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{flag} {path}: cannot be read ({error.strerror})") from error
