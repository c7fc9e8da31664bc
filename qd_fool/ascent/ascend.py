"""A whole ascent in memory."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Int, PyTree

from qd_fool.ascent.blocks import AscentResult, ascend_block, block_size, join_results
from qd_fool.ascent.climb import variables_of
from qd_fool.ascent.config import AscentConfig
from qd_fool.ascent.segments import SEGMENT, make_ascent
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.models.network import Network, default_chunk


def ascend(
    scorer: Network,
    encoding: Encoding,
    classes: Sequence[int] | Int[np.ndarray, " n"],
    *,
    config: AscentConfig | None = None,
    genomes: PyTree[Any] | None = None,
    values: Any = None,
    seed: int = 0,
    devices: int | None = None,
    rule: optax.GradientTransformation | None = None,
) -> AscentResult:
    """Climb toward classes, in memory.

    Args:
      scorer: Network, from `load_scorer`.
      encoding: Encoding from `make_encoding`; for pixels with `genes="int", color="rgb"` or "gray".
      classes: `(n,)` classes of the targets; a class may occur more than once.
      config: Settings of the ascent; the baseline by default, with the network's default chunk.
      genomes: `(n, ...)` genomes to start from; random ones by default.
      values: `(n, size)` values to start from; the genomes' values by default.
      seed: Seed of random genomes. The same class at the same occurrence has the same genome.
      devices: Number of local devices to use; all by default. Does not change the result.
      rule: Any optimiser of optax, in place of the configuration's.

    Returns:
      The best iterate of each target as a genome, and the log-odds of all iterates.

    Raises:
      UserError: A setting is bad, there is no such class, or a score is NaN.
    """
    # Check the classes.
    config = config or AscentConfig(chunk=default_chunk(scorer))
    wanted = np.asarray(classes, np.int32)
    known = len(scorer.class_names)
    wrong = wanted[(wanted < 0) | (wanted >= known)]
    if wrong.size or not wanted.size:
        found = int(wrong[0]) if wrong.size else "none"
        raise UserError(f"class is {found}: {scorer.name} has classes 0 to {known - 1}")

    # The starts, random if none are given.
    if genomes is None:
        genomes = encoding.init(target_keys(seed, wanted, occurrences(wanted)))
    if values is None:
        values = variables_of(encoding).take(genomes)

    # Climb, one block of targets after another.
    mesh = make_mesh(devices)
    ascent = make_ascent(scorer, encoding, config, mesh=mesh, rule=rule)
    params = replicate(scorer.params, mesh)
    size = block_size(ascent, genomes, values, targets=len(wanted))
    parts = []
    for i in range(0, len(wanted), size):
        block = slice(i, i + size)
        part = ascend_block(
            ascent,
            params,
            jax.tree.map(lambda a, block=block: a[block], genomes),
            values[block],
            wanted[block],
            size=size,
            count=lambda done, latest: SEGMENT,
        )
        assert part is not None  # noqa: S101  (`count` never gives up)
        parts.append(part)
    return join_results(parts)


def occurrences(classes: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Count the earlier targets of the same class: 0, 0, 1 for the classes 3, 5, 3."""
    seen: dict[int, int] = {}
    before = []
    for k in classes.tolist():
        before.append(seen.get(k, 0))
        seen[k] = before[-1] + 1
    return np.asarray(before, np.int32)


def target_keys(seed: int, classes: Any, starts: Any) -> Array:
    """Return fold_in(fold_in(seed, class), start), which does not depend on other targets."""
    # Threefry is named, because a user's jax_default_prng_impl must not change results.
    key = jax.random.key(np.uint32(seed), impl="threefry2x32")

    def one(k: Array, start: Array) -> Array:
        return jax.random.fold_in(jax.random.fold_in(key, k), start)

    return jax.vmap(one)(jnp.asarray(classes, jnp.int32), jnp.asarray(starts, jnp.int32))
