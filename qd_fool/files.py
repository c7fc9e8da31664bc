"""Files that are written whole or not at all, and read with errors that people understand."""

import csv
import errno
import io
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from qd_fool.errors import DiskError, UserError

PARTIAL_SECONDS = 60.0
"""Age from which on a temporary file has been left by a process that was killed."""


def cache_dir() -> Path:
    """Return the folder for downloads: `QD_FOOL_CACHE`, else the system's folder for caches."""
    if named := os.environ.get("QD_FOOL_CACHE"):
        return Path(named).expanduser()
    import pooch

    return Path(pooch.os_cache("qd-fool"))


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Errors of a disk that takes no more."""


def disk_problem(error: BaseException) -> str | None:
    """Return why a disk takes no more, in words; None if the error has another cause.

    Libraries that write in other languages, such as Orbax, state the cause in a text of their own.
    """
    known = [os.strerror(number) for number in FULL]
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, OSError) and link.errno in FULL:
            return os.strerror(link.errno)
        if found := [words for words in known if words.lower() in str(link).lower()]:
            return found[0]
        link = link.__cause__ or link.__context__
    return None


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the error of a disk that takes no more into one sentence, whichever library raised it.

    Args:
      path: File or directory that the block writes.

    Raises:
      DiskError: The disk is full, or a quota or the highest size of a file is reached.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        problem = disk_problem(error)
        if problem is None:
            raise
        raise DiskError(f"{path}: cannot be written ({problem})") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`, and move it to `path` when the block ends well.

    The temporary name keeps the suffix, from which some writers infer the format, and holds the
    process's number, so that two processes may write the same file. If the block raises, the
    temporary file is deleted, and `path` is as it was.

    Raises:
      DiskError: The disk is full.
    """
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        with writing(path):
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def remove_partials(folder: Path) -> None:
    """Delete the temporary files that killed processes left in a folder.

    Files of the last minute stay: another process may be writing them.
    """
    for path in folder.glob(".*.partial*"):
        if path.is_file() and time.time() - path.stat().st_mtime > PARTIAL_SECONDS:
            path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")


FORMULAS = ("=", "+", "-", "@", "\t", "\r", "'")
"""Beginnings of cells that spreadsheets run as formulas; and the mark that makes them text."""


def cell_of(value: Any) -> Any:
    """Return a value for a CSV file. A text that a spreadsheet would run as a formula is marked.

    Spreadsheets show a text behind an apostrophe as it is. Numbers stay as they are.
    """
    if not isinstance(value, str) or not value.startswith(FORMULAS):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def text_of(cell: str) -> str:
    """Return the text of a cell that `cell_of` has written."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULAS) else cell


def write_rows(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write CSV with a header, whole or not at all.

    Args:
      path: Path of the file.
      columns: Names of the columns. Other keys of a row are left out; missing ones stay empty.
      rows: Rows, each by name of column.
    """
    with (
        replacing(path) as partial,
        partial.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({name: cell_of(value) for name, value in row.items()} for row in rows)


def read_json(path: Path) -> Any:
    """Return the value of a JSON file.

    Raises:
      UserError: The file cannot be read, or is not JSON in UTF-8.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: expected JSON in UTF-8 ({error})") from error


def write_text(path: Path, lines: Sequence[str]) -> None:
    """Write lines of text, whole or not at all."""
    with replacing(path) as partial:
        partial.write_text("\n".join([*lines, ""]), encoding="utf-8")


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes, whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(data)


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays by name into a compressed `.npz` file, whole or not at all."""
    with replacing(path) as partial:
        np.savez_compressed(partial, **arrays)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Return all arrays of an `.npz` file by name. Nothing is unpickled.

    Raises:
      UserError: The file is missing or damaged.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # zipfile, zlib, tokenize and NumPy raise types of their own
        raise UserError(f"{path}: expected a whole .npz file ({error})") from error
