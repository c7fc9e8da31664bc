"""A round of retraining on disk: a folder that is there whole, or not at all.

round_01/network.safetensors   the network, for `qd-fool evolve --model lenet --weights FILE`
round_01/images.npz            pictures evolved against it: `Pictures`, an array a field
round_01/row.json              its row of the table, and all seeds
"""

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from jaxtyping import Array, Float, Int, PyTree, Shaped, UInt8, UInt32

from qd_fool.errors import UserError
from qd_fool.files import read_json, read_npz, write_json, write_npz
from qd_fool.models.architectures.lenet import flat_from_params

EVOLVED, HELD_OUT, OTHER = "evolved", "held out", "other encoding"
"""Groups of pictures: those that later networks are trained on, and those they are only shown."""


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures:
    """Elites of a round's evolutions, a row each, as 8-bit pictures.

    Attributes:
      images: exactly what was scored.
      group: `EVOLVED`, `HELD_OUT` or `OTHER`.
      seed: of the evolution.
      cell: the digit that it is taken for.
      confidence: that the network it was evolved against has in it, scored again as it is here.
      evaluations_to_99: counted evaluations after which the evolution had 0.99 in this cell; -1
        for never.
    """

    images: UInt8[np.ndarray, "n height width channels"]
    group: Shaped[np.ndarray, " n"]
    seed: UInt32[np.ndarray, " n"]
    cell: Int[np.ndarray, " n"]
    confidence: Float[np.ndarray, " n"]
    evaluations_to_99: Int[np.ndarray, " n"]

    def of(self, group: str) -> "Pictures":
        """Those of one group."""
        mine = self.group == group
        return Pictures(**{name: array[mine] for name, array in vars(self).items()})


def round_dir(run_dir: Path, number: int) -> Path:
    """Where a round is, counted from 1."""
    return run_dir / f"round_{number:02d}"


def finished_rounds(run_dir: Path) -> int:
    """How many rounds are there, without a gap."""
    number = 0
    while round_dir(run_dir, number + 1).is_dir():
        number += 1
    return number


def write_round(
    run_dir: Path, number: int, *, params: PyTree[Array], pictures: Pictures, row: dict[str, Any]
) -> None:
    """Write a round beside its place, then put it there."""
    place = round_dir(run_dir, number)
    partial = place.with_name(f".{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    flat = {name: np.ascontiguousarray(a) for name, a in flat_from_params(params).items()}
    safetensors.numpy.save_file(flat, partial / "network.safetensors")
    write_npz(partial / "images.npz", vars(pictures))
    write_json(partial / "row.json", row)
    os.replace(partial, place)


def read_pictures(run_dir: Path, number: int) -> Pictures:
    """The pictures of a round that is done.

    Raises:
      UserError: they are missing or damaged.
    """
    path = round_dir(run_dir, number) / "images.npz"
    arrays = read_npz(path)
    names = [field.name for field in dataclasses.fields(Pictures)]
    if set(names) - set(arrays):
        raise UserError(f"{path}: expected arrays {', '.join(names)}, found {sorted(arrays)}")
    return Pictures(**{name: arrays[name] for name in names})


def read_row(run_dir: Path, number: int) -> dict[str, Any]:
    """A round's row of the table.

    Raises:
      UserError: it is missing or damaged.
    """
    path = round_dir(run_dir, number) / "row.json"
    row = read_json(path)
    if not isinstance(row, dict) or "test_error" not in row:
        raise UserError(f"{path}: expected a row of the table, found {row!r}")
    return row
