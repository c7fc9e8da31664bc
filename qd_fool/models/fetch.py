"""Published files, fetched once into a cache. The hash is checked before a file gets its name."""

import dataclasses
import glob
import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from qd_fool.errors import DiskError, UserError
from qd_fool.files import cache_dir, disk_problem, replacing

# Seconds without a byte after which a download fails.
TIMEOUT = 30.0

_HASH = re.compile(r"sha256:[0-9a-f]{64}|sha1:[0-9a-f]{40}|sha256-prefix:[0-9a-f]{8,63}")


@dataclasses.dataclass(frozen=True)
class RemoteFile:
    """A published file, and the hash that shows whether a download is whole.

    Attributes:
      url: HTTP address of the file.
      name: Name of the file in the cache.
      size: Number of bytes, about. It is shown to people; `hash` alone decides.
      hash: Hash that the publisher states: "sha256:<64 hex digits>", "sha1:<40 hex digits>", or
        "sha256-prefix:7be5be79", the first digits, which torchvision puts into file names.
    """

    url: str
    name: str
    size: int
    hash: str

    def __post_init__(self) -> None:
        if not _HASH.fullmatch(self.hash):
            raise ValueError(f"{self.name}: no hash of a form that is known: {self.hash!r}")
        if not self.name or Path(self.name).name != self.name or self.name.startswith("."):
            raise ValueError(f"not a plain file name: {self.name!r}")

    @property
    def algorithm(self) -> str:
        """The algorithm of the hash, "sha256" or "sha1"."""
        return self.hash.partition(":")[0].removesuffix("-prefix")

    @property
    def digest(self) -> str:
        """The hex digits of the hash, or the first of them."""
        return self.hash.partition(":")[2]

    @property
    def described(self) -> str:
        """Size and hash for people, such as "244 MB, sha256 7be5be79..."."""
        megabytes = self.size / 1e6
        more = "..." if "prefix" in self.hash else ""
        return (
            f"{megabytes:,.{0 if megabytes >= 10 else 1}f} MB, {self.algorithm} {self.digest}{more}"
        )


def cached(file: RemoteFile) -> Path | None:
    """Return the path of the file in the cache; None if it is missing or not whole.

    Raises:
      UserError: The file in the cache cannot be read.
    """
    path = cache_dir() / file.name
    whole = path.exists() and _digest(path, file).startswith(file.digest)
    return path if whole else None


def fetch(file: RemoteFile, *, progress: bool | None = None) -> Path:
    """Return the path of the file in the cache, downloaded if it is missing or not whole.

    A download gets its name in the cache when its hash is right. If the hash is wrong, or the
    download breaks off, nothing is left. Two processes do not download at once: the second waits,
    and then finds the file. People may put a file there by hand. A file with another hash is never
    deleted: it stays until a download is whole, and is then renamed with `.misfit-<hash>`.

    Args:
      file: File to fetch.
      progress: Whether to show a progress bar; by default if stderr is a terminal.

    Raises:
      UserError: The file can't be fetched (offline, refused, no such page, too slow), has another
        hash, or the cache cannot be written or read.
    """
    # This look needs no lock, so that a cache that was filled before may be read-only.
    if (path := cached(file)) is not None:
        return path
    directory = cache_dir()
    path = directory / file.name
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with _alone(path):
            if cached(file) is None:  # another process may have been first
                _download(file, path, progress=progress)
    except (OSError, DiskError) as error:
        cause = disk_problem(error) or getattr(error, "strerror", None) or error
        raise UserError(
            f"cannot write {file.name} ({file.described}) to {directory} "
            f"({cause}): expected a writable directory with room for it, so make "
            "it so or set QD_FOOL_CACHE to another"
        ) from error
    return path


def _digest(path: Path, file: RemoteFile) -> str:
    def algorithm() -> "hashlib._Hash":
        return hashlib.new(file.algorithm, usedforsecurity=False)

    try:
        with path.open("rb") as opened:
            return hashlib.file_digest(opened, algorithm).hexdigest()
    except OSError as error:
        raise UserError(
            f"cannot read {path} ({error.strerror}), expected {file.name} ({file.described})"
        ) from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock of `path`, after waiting for a process that holds it."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process that fetches {path.name}", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(file: RemoteFile, path: Path, *, progress: bool | None) -> None:
    """Download `file` to `path`, check the hash, and rename a file that exists there already.

    Raises:
      UserError: The file can't be fetched, or has another hash.
      OSError: The file can't be written.
    """
    import pooch
    import requests
    from tqdm import tqdm

    # A file that exists has another hash, or it would not be fetched.
    misfit = _digest(path, file) if path.exists() else ""
    if misfit:
        print(
            f"{path} has {file.algorithm} {misfit}, expected {file.digest}: fetching it anew",
            file=sys.stderr,
        )
    print(f"fetching {file.name} ({file.described}) from {file.url}", file=sys.stderr)

    # Pooch leaves the progress bar and the response open when a download breaks off. So the bar is
    # made here, and a hook collects the responses, to close them.
    bar = tqdm(
        total=file.size,
        unit="B",
        unit_scale=True,
        disable=not (sys.stderr.isatty() if progress is None else progress),
    )
    responses: list[requests.Response] = []
    download = pooch.HTTPDownloader(
        progressbar=bar,
        chunk_size=2**18,
        timeout=TIMEOUT,
        hooks={"response": lambda response, **_: responses.append(response)},
    )

    # What people can do by hand, for all errors below.
    replaced = f" in place of the one there ({file.algorithm} {misfit})" if misfit else ""
    advice = (
        f"put the file {file.name} ({file.described}) into {path.parent}{replaced}, "
        "or pass it by --weights"
    )

    # Download under a temporary name, and check. Errors leave no partial file, but a killed process
    # may have left one; the lock was released.
    for left in path.parent.glob(f".{glob.escape(path.stem)}*.partial{path.suffix}"):
        left.unlink(missing_ok=True)
    with replacing(path) as partial:
        try:
            download(file.url, str(partial), None)
        except requests.RequestException as error:
            raise UserError(
                f"{file.name} cannot be fetched from {file.url} ({_reason(error)}): {advice}"
            ) from error
        finally:
            for opened in [bar, *responses]:
                opened.close()
        found = _digest(partial, file)
        if not found.startswith(file.digest):
            raise UserError(
                f"{file.url} gave {partial.stat().st_size:,} bytes with {file.algorithm} "
                f"{found}, expected {file.name} ({file.described}), so nothing was kept: "
                f"{advice}"
            )
        if misfit:
            aside = path.with_name(f"{path.stem}.misfit-{misfit[:8]}{path.suffix}")
            os.replace(path, aside)
            print(f"the file that did not fit is now {aside}", file=sys.stderr)


def _reason(error: BaseException) -> str:
    """Return why a request failed, in the system's words, from deep in the chain of exceptions."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code} {response.reason}"
    words = ""
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, TimeoutError) or "Timeout" in type(link).__name__:
            return "timed out"
        if "IncompleteRead" in type(link).__name__:
            words = "the connection broke off"
        if isinstance(link, OSError) and link.strerror:
            words = link.strerror
        link = link.__cause__ or link.__context__
    return words or type(error).__name__
