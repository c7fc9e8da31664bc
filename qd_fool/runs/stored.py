"""A run directory of any kind, opened by `run.json`.

All commands that read a run open it here. `run.json` holds the kind of the run, the subject of the
run (networks, encoding, classes), and the settings of the search.
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
    """A run directory, and the contents of `run.json`.

    Attributes:
      path: Directory of the run.
      record: Contents of `run.json`.
    """

    path: Path
    record: dict[str, Any]

    @property
    def kind(self) -> str:
        """The kind of run. Evolutions of older versions do not state a kind."""
        return str(self.record.get("kind", "evolution"))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of the search.

        An ascent keeps them under `ascent`. The `config` of an ascent has the keys of an evolution,
        for older versions of this package.
        """
        settings = self.record.get("ascent") if self.kind == "ascent" else None
        return dict(settings or self.record["config"])

    @property
    def classes(self) -> int:
        """Number of classes, each of which has a cell."""
        return int(self.record["classes"])

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks that the pictures shall fool."""
        config = self.record["config"]
        return (str(config.get("model")), *map(str, config.get("also") or ()))

    @property
    def has_not_ended(self) -> bool:
        """Whether the run is running, or was killed: without a lock both look alike."""
        return self.record.get("status") in ("running", "failed")

    def as_of(self, generation: int) -> str:
        """A sentence that says of which generation a reader of the run speaks."""
        status = self.record.get("status")
        return (
            f"{self.path}: its status is {status}; this is its state after generation {generation}"
        )

    def encoding(self) -> Encoding:
        """The encoding of the genomes.

        Raises:
          UserError: `run.json` describes no encoding that this version knows.
        """
        return encoding_of_run(self.record, source=str(self.path / "run.json"))


def open_run(path: Path) -> StoredRun:
    """Open the directory of a run of any kind.

    Raises:
      UserError: The directory is not a run directory, or this version can't read it.
    """
    return StoredRun(path, read_run(path))


def encoding_of_run(run: Mapping[str, Any], *, source: str = "run.json") -> Encoding:
    """Build the encoding of a run's genomes, as `run.json` describes it.

    Args:
      run: Contents of `run.json`.
      source: Name of the file, for messages.

    Raises:
      UserError: `run.json` describes no encoding that this version knows.
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
    except UserError:  # the message is complete
        raise
    except (TypeError, ValueError) as error:  # text where a number should be, and such
        raise UserError(f"{source}: encoding_settings can't be read ({error})") from error
