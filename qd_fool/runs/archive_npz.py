"""`archive.npz`: the state of a run, genomes and scores."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

from qd_fool.errors import UserError
from qd_fool.files import read_npz, write_npz
from qd_fool.map_elites.state import EvolutionState


def write_archive(directory: Path, state: EvolutionState) -> None:
    """Write `archive.npz`: each leaf of the state under its path, such as `archive.fitness`."""
    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    arrays = {leaf_name(path): np.asarray(leaf) for path, leaf in leaves}
    write_npz(directory / "archive.npz", arrays)


def read_archive(directory: Path, template: EvolutionState) -> EvolutionState:
    """Read `archive.npz` back into a state with the structure of `template`.

    Counters that an older version did not keep are taken from the template.

    Raises:
      UserError: The file is missing or damaged, or has other genomes or another number of classes.
    """
    path = directory / "archive.npz"
    if not path.exists():
        raise UserError(f"{path} is missing: a run writes it when it ends or is stopped by Ctrl-C")
    arrays = read_npz(path)

    def leaf(key: Any, like: Any) -> np.ndarray:
        name = leaf_name(key)
        array = arrays.get(name)
        if array is None and not name.startswith("archive."):
            return np.asarray(like)  # a counter that an older version did not keep
        if array is None:
            raise UserError(f"{path}: no array {name!r}: the genomes are of another encoding")
        if array.shape != like.shape or array.dtype != like.dtype:
            raise UserError(
                f"{path}: {name} is {array.dtype}{array.shape}, expected {like.dtype}{like.shape}: "
                "another encoding, image size or number of classes"
            )
        return array

    return jax.tree_util.tree_map_with_path(leaf, template)


def leaf_name(path: PyTree) -> str:
    """Return the name of a leaf in an `.npz` file, such as `archive.fitness`."""
    return jax.tree_util.keystr(path, simple=True, separator=".")
