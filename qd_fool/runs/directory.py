"""The run directory: plain files that can be read without this package.

run.json      config, seed, versions, device, weights' sha256, schema version
metrics.csv   a row per logged generation
elites.csv    a row per cell
lineage.npz   every insertion
genomes.npz   genomes of elites and their ancestors, or of all individuals that won a cell
elites/       PNGs of exactly the 8-bit images that were scored
archive.npz   genomes and scores, no pickle
checkpoints/  Orbax
report.html   the page about the run, with contact_sheet.png
"""

import datetime
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from qd_fool.errors import UserError
from qd_fool.files import read_json, remove_partials

SCHEMA = 1

UNFINISHED = re.compile(r"\.(run|settings)(\.\d+)?\.partial\.json")
"""Names of an unfinished `run.json` or `settings.json`."""


class InUseError(UserError):
    """A run directory that another process writes to."""


def read_run(directory: Path) -> dict[str, Any]:
    """Return the contents of `run.json`.

    Raises:
      UserError: The directory is not a run directory, or this version can't read it.
    """
    path = directory / "run.json"
    if not path.is_file():
        raise UserError(f"{directory} is not a run directory: no readable run.json")
    run = read_json(path)
    if not isinstance(run, dict) or run.get("schema") != SCHEMA:
        found = run.get("schema") if isinstance(run, dict) else type(run).__name__
        raise UserError(f"{path}: schema is {found!r}, this version reads {SCHEMA}")
    for key, kind in (("config", dict), ("classes", int), ("device", dict), ("versions", dict)):
        if not isinstance(run.get(key), kind):
            raise UserError(f"{path}: {key} is {run.get(key)!r}, expected a {kind.__name__}")
    return run


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    """Return one phrase per difference between two configurations."""
    names = [*wanted, *(name for name in stored if name not in wanted)]
    return [
        f"{name.replace('_', '-')} is {wanted.get(name)!r}, the run has {stored.get(name)!r}"
        for name in names
        if stored.get(name) != wanted.get(name)
    ]


def recorded_imports(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The files that a run's encoding, emitters or networks came from: path and SHA-256.

    Args:
      run: Contents of `run.json`.
    """
    found = run.get("imports")
    rows = found if isinstance(found, list) else []
    return [(str(row.get("path")), str(row.get("sha256"))) for row in rows if isinstance(row, dict)]


def with_imports(run: Mapping[str, Any], message: str) -> str:
    """A message about a name that is not known, and the files of the run that may register it.

    Args:
      run: Contents of `run.json`.
      message: The message.
    """
    files = [f"{path} (sha256 {sha256[:12]}...)" for path, sha256 in recorded_imports(run)]
    if not files:
        return message
    flags = " ".join(f"--import {path}" for path, _ in recorded_imports(run))
    return f"{message}; this run used {', '.join(files)}: give {flags}"


def names_in(run_dir: Path, *, flag: str = "--run-dir") -> set[str]:
    """Return the names of the files in a directory for a run; none if it does not exist yet.

    Args:
      run_dir: The directory.
      flag: Flag that named the directory, for the error.

    Raises:
      UserError: The path is no directory, or can't be read.
    """
    try:
        return {path.name for path in run_dir.iterdir()}
    except FileNotFoundError:
        return set()
    except NotADirectoryError as error:
        raise UserError(f"{flag} {run_dir} is, or is in, a file: expected a directory") from error
    except OSError as error:
        raise UserError(f"{flag} {run_dir}: cannot be read ({error.strerror})") from error


def new_directory(asked: Path | None, *names: str | None) -> Path:
    """Return the directory that was asked for, or a name for a new one: `runs/<time>-<names>`.

    Args:
      asked: The directory that was asked for, if any.
      *names: Parts of the name, such as a model and an encoding. None is left out.
    """
    if asked is not None:
        return asked
    now = datetime.datetime.now().astimezone().strftime("%Y-%m-%dT%H-%M-%S")
    words = "-".join([now, *(name for name in names if name)])
    return Path("runs") / re.sub(r"[^\w.-]", "_", words)


def check_utf8(run_dir: Path) -> None:
    """Check that checkpoints can be written: their library takes no other names.

    Raises:
      UserError: The directory's whole name is not UTF-8.
    """
    name = str(run_dir.absolute())
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UserError(
            f"--run-dir {name}: its name is not UTF-8, which checkpoints need: choose another"
        ) from error


def may_resume(run_dir: Path, *, resume: bool, kind: str = "run") -> bool:
    """Return whether a directory holds a run to continue; False if a run may begin there.

    Args:
      run_dir: The directory.
      resume: Whether the user asked to continue.
      kind: Name of the kind of run, for the error.

    Raises:
      UserError: The directory holds something, and the user did not ask to continue.
    """
    names = names_in(run_dir)
    # A run that was killed before its first write leaves only these files.
    nothing = {".lock"} | {name for name in names if UNFINISHED.fullmatch(name)}
    if "checkpoints" in names and not any(run_dir.glob("checkpoints/generation_*")):
        nothing.add("checkpoints")
    if names <= nothing:
        return False
    if resume:
        return True
    raise UserError(
        f"--run-dir {run_dir} exists and is not empty: pass --resume to continue the {kind} in it, "
        "or choose another"
    )


def make_run_dir(run_dir: Path, *, flag: str = "--run-dir") -> None:
    """Make a directory, and all directories above it, unless it exists.

    Args:
      run_dir: The directory.
      flag: Flag that named the directory, for the error.

    Raises:
      UserError: The directory can't be made.
    """
    try:
        run_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{flag} {run_dir}: cannot be made ({error.strerror})") from error


@contextmanager
def sole_user(run_dir: Path) -> Iterator[None]:
    """Lock a run directory while the block writes to it. If the process dies, the lock is released.

    Readers need no lock.

    Raises:
      InUseError: Another process holds the lock.
      UserError: The directory can't be written to.
    """
    lock = FileLock(run_dir / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise InUseError(f"{run_dir} is in use by another process") from error
    except OSError as error:
        raise UserError(f"{run_dir}: cannot be written to ({error.strerror})") from error
    try:
        remove_partials(run_dir)
        yield
    finally:
        lock.release()
