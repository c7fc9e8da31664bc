"""Finished blocks of targets on disk, from which an ascent resumes."""

import dataclasses
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Int

from qd_fool.ascent.blocks import AscentResult, join_results
from qd_fool.encodings import Encoding
from qd_fool.encodings.base import genome_shapes
from qd_fool.files import read_npz, write_npz

BLOCKS = "blocks"


LOGS = tuple(f.name for f in dataclasses.fields(AscentResult) if f.name != "genomes")


def write_block(run_dir: Path, targets: Int[np.ndarray, " n"], result: AscentResult) -> None:
    """Write a finished block, whole or not at all."""
    folder = run_dir / BLOCKS
    folder.mkdir(exist_ok=True)
    arrays = {name: getattr(result, name) for name in LOGS}
    leaves = jax.tree.leaves(result.genomes)
    arrays |= {f"genomes.{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    write_npz(folder / f"{targets[0]:06d}.npz", {"targets": targets} | arrays)


def read_blocks(
    run_dir: Path, encoding: Encoding
) -> tuple[Int[np.ndarray, " n"], AscentResult | None]:
    """Read all finished blocks.

    Args:
      run_dir: Directory of the ascent.
      encoding: Encoding of the genomes.

    Returns:
      The targets that are finished, ascending, and their result; None if there are none.

    Raises:
      UserError: A file is damaged.
    """
    leaves, structure = jax.tree.flatten(genome_shapes(encoding))
    # The name of an unfinished file begins with a dot.
    files = sorted((run_dir / BLOCKS).glob("[0-9]*.npz"))
    if not files:
        return np.empty(0, np.int32), None
    parts = [read_npz(path) for path in files]
    results = [
        AscentResult(
            genomes=jax.tree.unflatten(
                structure, [part[f"genomes.{i}"] for i in range(len(leaves))]
            ),
            **{name: part[name] for name in LOGS},
        )
        for part in parts
    ]
    targets = np.concatenate([part["targets"] for part in parts])
    # A file is named by its first target; blocks of a resumed run may be cut in another way.
    order = np.argsort(targets, kind="stable")
    return targets[order], _in_order(join_results(results), order)


def _in_order(result: AscentResult, order: Int[np.ndarray, " n"]) -> AscentResult:
    """The result with its targets in another order."""
    logs = {name: np.take(getattr(result, name), order, axis=-1) for name in LOGS}
    return AscentResult(genomes=jax.tree.map(lambda a: a[order], result.genomes), **logs)


def drop_blocks(run_dir: Path) -> None:
    """Delete the blocks of a finished run. Its other files hold everything."""
    for path in (run_dir / BLOCKS).glob("*.npz"):
        path.unlink()
    (run_dir / BLOCKS).rmdir()
