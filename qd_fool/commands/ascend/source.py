"""The run whose elites an ascent starts from (`--from`)."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Int, PyTree
from rich.console import Console

from qd_fool.commands.common.networks import Networks
from qd_fool.commands.common.subject import stored_networks
from qd_fool.commands.evolve.newest import read_newest
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.models.network import Network
from qd_fool.runs.checkpoints import digest
from qd_fool.runs.stored import StoredRun, open_run


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A run whose elites are starts.

    Attributes:
      run: The run, an evolution or an ascent.
      networks: Names and files of the run's networks, whose weights are not read.
      encoding: Encoding of the run's genomes.
      genomes: Genomes of the archive, `(cells, ...)`, on the host.
      cells: Cells that hold an elite, `(n,)`.
      digest: Digest of the archive.
    """

    run: StoredRun
    networks: Networks
    encoding: Encoding
    genomes: PyTree[Any]
    cells: Int[np.ndarray, " n"]
    digest: str

    def check(self, parametrization: str, encoding: Encoding, scorer: Network) -> None:
        """Check that the elites can be starts.

        Args:
          parametrization: Parameters that the ascent moves: "pixels" or "cppn".
          encoding: Encoding of the ascent.
          scorer: Network of the ascent.

        Raises:
          UserError: The elites can't be starts.
        """
        path = self.run.path
        if parametrization == "cppn" and self.encoding.name != "cppn":
            raise UserError(
                f"--from {path}: its encoding is {self.encoding.name}, expected cppn with "
                "--parametrization cppn"
            )
        if self.encoding.image_shape != encoding.image_shape:
            raise UserError(
                f"--from {path}: its pictures are {shape_in_words(self.encoding.image_shape)}, "
                f"expected {shape_in_words(encoding.image_shape)}"
            )
        if self.run.classes != len(scorer.class_names):
            raise UserError(
                f"--from {path}: it has {self.run.classes} classes, "
                f"{scorer.name} has {len(scorer.class_names)}"
            )


def read_source(run_dir: Path, *, console: Console) -> Source:
    """Read the newest elites of a run.

    Args:
      run_dir: Directory of the run.
      console: Console for messages about damaged checkpoints.

    Raises:
      UserError: The directory holds no run, or the run has no elites.
    """
    run = open_run(run_dir)
    networks = stored_networks(run)
    archive = read_newest(run, console=console).state.archive
    cells = np.flatnonzero(np.asarray(archive.occupied)).astype(np.int32)
    if not cells.size:
        raise UserError(f"--from {run_dir}: it has no elites")
    genomes = jax.tree.map(np.asarray, archive.genomes)
    return Source(run, networks, run.encoding(), genomes, cells, digest(archive))


def shape_in_words(shape: tuple[int, int, int]) -> str:
    """A shape in words, such as `28x28 pixels, gray`."""
    kind = {1: "gray", 3: "RGB"}.get(shape[2], f"{shape[2]} channels")
    return "x".join(map(str, shape[:2])) + f" pixels, {kind}"
