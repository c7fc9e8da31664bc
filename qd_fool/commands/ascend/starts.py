"""Where an ascent starts: the network's mean, noise, a picture, random graphs, or elites."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree
from rich.console import Console

from qd_fool.ascent.ascend import target_keys
from qd_fool.ascent.climb import mean_picture, variables_of
from qd_fool.commands.evolve.newest import newest_state
from qd_fool.commands.evolve.plan import EvolvePlan, plan
from qd_fool.commands.evolve.resume import stored_config
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.models.network import Network
from qd_fool.runs.checkpoints import digest
from qd_fool.runs.directory import read_run, sole_user
from qd_fool.runs.pictures import read_image

NOISE = ("mean", "uniform")
"""Starts that are random."""


MakeStarts = Callable[[Any], tuple[PyTree[np.ndarray], np.ndarray]]
"""`indices of targets -> genomes (n, ...), values (n, size)`."""


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """A run whose elites are starts.

    Attributes:
      run_dir: its directory.
      evolve: its plan.
      genomes: `(cells, ...)` of its archive, on the host.
      cells: `(n,)` those that hold an elite.
      digest: of its archive.
    """

    run_dir: Path
    evolve: EvolvePlan
    genomes: PyTree[Any]
    cells: Int[np.ndarray, " n"]
    digest: str

    def check(self, parametrization: str, wanted: EvolvePlan) -> None:
        """See that its elites can be starts.

        Raises:
          UserError: they can't.
        """
        theirs, ours = self.evolve.encoding, wanted.encoding
        if parametrization == "cppn" and theirs.name != "cppn":
            raise UserError(
                f"--from {self.run_dir}: its encoding is {theirs.name}, expected cppn with "
                "--parametrization cppn"
            )
        if theirs.image_shape != ours.image_shape:
            raise UserError(
                f"--from {self.run_dir}: its pictures are {_shape(theirs.image_shape)}, expected "
                f"{_shape(ours.image_shape)}"
            )
        if len(self.evolve.scorer.class_names) != len(wanted.scorer.class_names):
            raise UserError(
                f"--from {self.run_dir}: it has {len(self.evolve.scorer.class_names)} classes, "
                f"{wanted.scorer.name} has {len(wanted.scorer.class_names)}"
            )


def read_source(run_dir: Path) -> Source:
    """The newest elites of a run.

    Raises:
      UserError: no run there, or one without elites.
    """
    read_run(run_dir)
    evolve = plan(stored_config(run_dir))
    with sole_user(run_dir):
        state = newest_state(run_dir, evolve, console=Console(stderr=True)).state
    cells = np.flatnonzero(np.asarray(state.archive.occupied)).astype(np.int32)
    if not cells.size:
        raise UserError(f"--from {run_dir}: it has no elites")
    genomes = jax.tree.map(np.asarray, state.archive.genomes)
    return Source(run_dir, evolve, genomes, cells, digest(state.archive))


def make_starts(
    scorer: Network,
    encoding: Encoding,
    classes: Int[np.ndarray, " n"],
    starts: Int[np.ndarray, " n"],
    *,
    source: Source | None,
    start: str | None,
    seed: int,
    chunk: int,
) -> MakeStarts:
    """How to make the starts of any of the targets.

    Args:
      scorer: the network, for its mean.
      encoding: of the genomes.
      classes: of all targets.
      starts: likewise, which of its class each is.
      source: elites, or None.
      start: mean, uniform, zero or the path of a picture; None for random genomes.
      seed: of all randomness.
      chunk: starts made at once: a shape of its own would round in its own way.

    Raises:
      UserError: a picture that can't be read, or of another size.
    """
    variables, shape = variables_of(encoding), encoding.image_shape

    def by_chunks(function: Callable[..., tuple[PyTree[Array], Array]]) -> Callable[..., Any]:
        compiled = jax.jit(function)

        def of_all(*batch: Any) -> tuple[PyTree[np.ndarray], np.ndarray]:
            n = len(jax.tree.leaves(batch)[0])
            parts = []
            for i in range(0, n, chunk):
                # Filled up, so that there is one shape.
                rows = np.minimum(np.arange(i, i + chunk), n - 1)
                part = jax.tree.map(lambda a, rows=rows: jnp.asarray(a[rows]), batch)
                parts.append(jax.tree.map(np.asarray, compiled(*part)))
            return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:n], *parts)

        return of_all

    if source is not None:
        theirs = source.evolve.encoding

        def of_elites(genomes: PyTree[Array]) -> tuple[PyTree[Array], Array]:
            if encoding.name == "cppn":
                return genomes, variables.take(genomes)
            pictures = theirs.render(genomes).reshape(chunk, -1)
            return pictures, pictures.astype(jnp.float32)

        begin = by_chunks(of_elites)
        elites = source.genomes
        return lambda some: begin(jax.tree.map(lambda a: a[classes[some]], elites))

    origin: np.ndarray = np.broadcast_to(mean_picture(scorer, shape[2]), shape).reshape(-1)
    if start not in (None, *NOISE, "zero"):
        origin = _picture(Path(start or ""), shape).reshape(-1).astype(np.float32)

    def one(key: Array) -> Array:
        if start == "mean":
            return jax.random.normal(key, origin.shape, jnp.float32) + origin
        if start == "uniform":
            return jax.random.uniform(key, origin.shape, jnp.float32, 0.0, 255.0)
        return jnp.asarray(origin)

    def draw(classes: Array, starts: Array) -> tuple[PyTree[Array], Array]:
        keys = target_keys(seed, classes, starts)
        if start is None:
            genomes = encoding.init(keys)
            return genomes, variables.take(genomes)
        values = jax.vmap(one)(keys)
        return variables.put(values, values), values

    make = by_chunks(draw)
    return lambda some: make(classes[some], starts[some])


def _picture(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    if not path.exists():
        raise UserError(f"--start is {path}: expected mean, uniform, zero or the path of a picture")
    picture = read_image(path, channels=shape[2])
    if picture.shape != shape:
        raise UserError(f"--start {path}: it is {_shape(picture.shape)}, expected {_shape(shape)}")
    return picture


def _shape(shape: tuple[int, ...]) -> str:
    kind = {1: "gray", 3: "RGB"}.get(shape[2], f"{shape[2]} channels")
    return "x".join(map(str, shape[:2])) + f" pixels, {kind}"
