"""Finished blocks of targets on disk, from which an ascent resumes."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int

from qd_fool.ascent.blocks import AscentResult, join_results
from qd_fool.files import read_npz, write_npz

BLOCKS = "blocks"


LOGS = tuple(f.name for f in dataclasses.fields(AscentResult) if f.name != "genomes")


def write_block(run_dir: Path, targets: Int[np.ndarray, " n"], result: AscentResult) -> None:
    """Keep a finished block, whole or not at all."""
    folder = run_dir / BLOCKS
    folder.mkdir(exist_ok=True)
    arrays = {name: getattr(result, name) for name in LOGS}
    leaves = jax.tree.leaves(result.genomes)
    arrays |= {f"genomes.{i}": np.asarray(leaf) for i, leaf in enumerate(leaves)}
    write_npz(folder / f"{targets[0]:06d}.npz", {"targets": targets} | arrays)


def read_blocks(run_dir: Path, genomes: Any) -> tuple[Int[np.ndarray, " n"], AscentResult | None]:
    """Targets that are finished, ascending, and what came of them.

    Args:
      run_dir: of the ascent.
      genomes: anything with the structure of the genomes.

    Raises:
      UserError: a damaged file.
    """
    leaves, structure = jax.tree.flatten(genomes)
    # Those that a crash left half written begin with a dot.
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
    return np.concatenate([part["targets"] for part in parts]), join_results(results)


def drop_blocks(run_dir: Path) -> None:
    """The run directory proper holds it all by now."""
    for path in (run_dir / BLOCKS).glob("*.npz"):
        path.unlink()
    (run_dir / BLOCKS).rmdir()
