"""A run directory opened by its `run.json`: the same questions for a run of any kind.

All commands that read a run open it here. `run.json` says what kind of run it is, what the run is
about (networks, encoding, classes) and with which settings the search ran.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from qd_fool.encodings import ENCODINGS, Encoding, make_encoding
from qd_fool.encodings.base import image_shape_of
from qd_fool.errors import UserError
from qd_fool.runs.directory import read_run, with_imports

Kind = Literal["evolution", "ascent", "retraining"]


@dataclasses.dataclass(frozen=True)
class StoredRun:
    """What `run.json` says.

    Attributes:
      path: Directory of the run.
      record: Contents of its `run.json`.
    """

    path: Path
    record: dict[str, Any]

    @property
    def kind(self) -> str:
        """The kind of run. Evolutions of older versions don't name theirs."""
        return str(self.record.get("kind", "evolution"))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the search.

        An ascent keeps them under `ascent`. Its `config` has the keys of an evolution, for older
        versions of this package.
        """
        settings = self.record.get("ascent") if self.kind == "ascent" else None
        return dict(settings or self.record["config"])

    @property
    def classes(self) -> int:
        """Number of classes, each of which has a cell."""
        return int(self.record["classes"])

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks that the pictures are to fool."""
        config = self.record["config"]
        return (str(config.get("model")), *map(str, config.get("also") or ()))

    def encoding(self) -> Encoding:
        """The encoding of the genomes.

        Raises:
          UserError: `run.json` describes none that this version knows.
        """
        return encoding_of_run(self.record, source=str(self.path / "run.json"))


def open_run(path: Path) -> StoredRun:
    """Open the directory of a run of any kind.

    Raises:
      UserError: not a run directory, or one that this version can't read.
    """
    return StoredRun(path, read_run(path))


def encoding_of_run(run: Mapping[str, Any], *, source: str = "run.json") -> Encoding:
    """The encoding of a run's genomes, as its `run.json` describes it.

    Args:
      run: Contents of `run.json`.
      source: Name of the file, for messages.

    Raises:
      UserError: it describes none that this version knows.
    """
    shape, settings = run.get("image_shape"), run.get("encoding_settings")
    if shape is None or not isinstance(settings, dict):
        raise UserError(f"{source} does not say how its genomes are to be read")
    image_shape = image_shape_of(shape, source=source)
    name = run["config"].get("encoding")
    if name not in ENCODINGS:
        known = ", ".join(ENCODINGS)
        raise UserError(
            with_imports(run, f"{source}: unknown encoding {name!r}: expected one of {known}")
        )
    try:
        return make_encoding(name, image_shape, **settings)
    except UserError:  # says all itself
        raise
    except (TypeError, ValueError) as error:  # text where a number should be, and such
        raise UserError(f"{source}: encoding_settings can't be read ({error})") from error
