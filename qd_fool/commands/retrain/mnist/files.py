"""A round of retraining on disk. Its folder is complete or does not exist.

round_01/network.safetensors   the network, for `qd-fool evolve --model lenet --weights FILE`
round_01/images.npz            pictures evolved against the network, by the fields of `Pictures`
round_01/row.json              row of the table, and all seeds
"""

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int, PyTree, Shaped, UInt8, UInt32

from qd_fool.errors import UserError
from qd_fool.files import read_json, read_npz, write_json, write_npz
from qd_fool.models.architectures.lenet import save_lenet
from qd_fool.models.retrained import has_new_class, save_retrained

DIGITS = 10
"""Classes of the first network; all later networks have one more."""

EVOLVED, HELD_OUT, OTHER = "evolved", "held out", "other encoding"
"""Groups of pictures. Later networks are trained on the first group, and only shown the others."""


@dataclasses.dataclass(frozen=True, eq=False)
class Pictures:
    """Elites of a round's evolutions as 8-bit pictures, one row per picture.

    Attributes:
      images: Pictures, exactly as they were scored.
      group: Group of the picture: `EVOLVED`, `HELD_OUT` or `OTHER`.
      seed: Seed of the evolution.
      cell: Digit that the picture is taken for.
      confidence: Confidence in that digit of the network that the picture was evolved against,
        scored again from the saved picture.
      evaluations_to_99: Counted evaluations after which the evolution had 0.99 in this cell; -1
        for never.
    """

    images: UInt8[np.ndarray, "n height width channels"]
    group: Shaped[np.ndarray, " n"]
    seed: UInt32[np.ndarray, " n"]
    cell: Int[np.ndarray, " n"]
    confidence: Float[np.ndarray, " n"]
    evaluations_to_99: Int[np.ndarray, " n"]

    def in_group(self, group: str) -> "Pictures":
        """The pictures of one group."""
        members = self.group == group
        return Pictures(**{name: array[members] for name, array in vars(self).items()})


def round_dir(run_dir: Path, number: int) -> Path:
    """Directory of a round; rounds are counted from 1."""
    return run_dir / f"round_{number:02d}"


def finished_rounds(run_dir: Path) -> int:
    """The number of finished rounds, counted up to the first gap."""
    number = 0
    while round_dir(run_dir, number + 1).is_dir():
        number += 1
    return number


def write_round(
    run_dir: Path, number: int, *, params: PyTree[Array], pictures: Pictures, row: dict[str, Any]
) -> None:
    """Write a round beside its place, then move it there.

    Args:
      run_dir: Directory of the retraining.
      number: Number of the round, from 1.
      params: Parameters of the network.
      pictures: Pictures that were evolved against the network.
      row: Row of the table.
    """
    place = round_dir(run_dir, number)
    partial = place.with_name(f".{place.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    write_network(partial / "network.safetensors", params)
    write_npz(partial / "images.npz", vars(pictures))
    write_json(partial / "row.json", row)
    os.replace(partial, place)


def write_network(path: Path, params: PyTree[Array]) -> None:
    """Write a LeNet: an ordinary weights file of ten classes, or one of a retrained network.

    Args:
      path: Safetensors file to write.
      params: Parameters of a network of ten classes, or eleven.
    """
    if has_new_class(params, classes=DIGITS):
        save_retrained(path, params, model="lenet", classes=DIGITS)
    else:
        save_lenet(path, params)


def read_pictures(run_dir: Path, number: int) -> Pictures:
    """The pictures of a finished round.

    Raises:
      UserError: The pictures are missing or damaged.
    """
    path = round_dir(run_dir, number) / "images.npz"
    arrays = read_npz(path)
    names = [field.name for field in dataclasses.fields(Pictures)]
    if set(names) - set(arrays):
        raise UserError(f"{path}: expected arrays {', '.join(names)}, found {sorted(arrays)}")
    return Pictures(**{name: arrays[name] for name in names})


def read_row(run_dir: Path, number: int) -> dict[str, Any]:
    """The row of a round in the table.

    Raises:
      UserError: The row is missing or damaged.
    """
    path = round_dir(run_dir, number) / "row.json"
    row = read_json(path)
    if not isinstance(row, dict) or "test_error" not in row:
        raise UserError(f"{path}: expected a row of the table, found {row!r}")
    return row
