"""Many generations in one compiled call, sharded over devices; and a whole run in memory."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, PyTree

from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.kernel import check_crops
from qd_fool.map_elites import EvolutionState, GenerationLog, MapElitesConfig, init, step
from qd_fool.mesh import AXIS, make_mesh, replicate
from qd_fool.models import Scorer
from qd_fool.models.scorer import default_chunk

Segment = Callable[[EvolutionState, PyTree[Array], Any], tuple[EvolutionState, GenerationLog]]


def make_segment(
    scorer: Scorer,
    encoding: Encoding,
    config: MapElitesConfig,
    *,
    mesh: Mesh,
    length: int,
    log_offspring: bool = False,
) -> Segment:
    """The compiled part of a run: up to `length` generations in one call.

    Args:
      scorer: the network's facts.
      encoding: of the genomes.
      config: of the run.
      mesh: devices to spread a batch over.
      length: generations a call at most; those of a shorter one run the same program.
      log_offspring: whether the log holds all offspring, `(length, n, ...)`.

    Returns:
      A jitted function `(state, params, generations) -> (state, log)`. `generations`, at most
      `length`, is a traced number: shorter segments run the same program. Rows of `log` after
      `generations` hold nothing. The state is donated. Both are replicated over the mesh.

    Raises:
      UserError: pictures of this encoding can't be cut for this network.
    """
    check_crops(scorer, encoding.image_shape, crops=config.crops)
    devices = mesh.devices.size

    def scan(
        state: EvolutionState, params: PyTree[Array], generations: Array
    ) -> tuple[EvolutionState, GenerationLog]:
        def run(state: EvolutionState) -> tuple[EvolutionState, GenerationLog]:
            return step(
                state,
                params,
                scorer=scorer,
                encoding=encoding,
                config=config,
                devices=devices,
                axis=AXIS,
                log_offspring=log_offspring,
            )

        nothing = jax.tree.map(
            lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(lambda s: run(s)[1], state)
        )

        def body(state: EvolutionState, i: Array) -> tuple[EvolutionState, GenerationLog]:
            return jax.lax.cond(i < generations, run, lambda s: (s, nothing), state)

        return jax.lax.scan(body, state, jnp.arange(length))

    everywhere = PartitionSpec()
    # Replication is by construction (all_gather, then the same arithmetic), which the checker
    # cannot see through a cond.
    sharded = jax.shard_map(
        scan,
        mesh=mesh,
        in_specs=(everywhere, everywhere, everywhere),
        out_specs=(everywhere, everywhere),
        check_vma=False,
    )
    return jax.jit(sharded, donate_argnums=0)


def evolve(
    scorer: Scorer,
    encoding: Encoding,
    *,
    generations: int,
    seed: int = 0,
    config: MapElitesConfig | None = None,
    devices: int | None = None,
) -> EvolutionState:
    """Evolve an archive of fooling images, in memory.

    Args:
      scorer: from `load_scorer`.
      encoding: from `make_encoding`.
      generations: after the random generation 0.
      seed: in 0..2^32-1.
      config: batch size, rule, crops; the scorer's own chunk size by default.
      devices: how many of the local devices to use; all by default. Does not change the result.

    Raises:
      UserError: bad settings, or NaN scores.
    """
    config = config or MapElitesConfig(chunk=default_chunk(scorer))
    check_extent(generations=generations, batch_size=config.batch_size, seed=seed)
    mesh = make_mesh(devices)
    segment = make_segment(scorer, encoding, config, mesh=mesh, length=64)
    state = replicate(init(encoding, len(scorer.class_names), seed=seed), mesh)
    params = replicate(scorer.params, mesh)
    for count in segment_lengths(generations + 1, length=64):
        state, _ = segment(state, params, np.int32(count))
        raise_if_bad(state)
    return jax.device_get(state)


def check_extent(*, generations: int, batch_size: int, seed: int) -> None:
    """See that a run can be counted and seeded in 32 bits.

    Raises:
      UserError: it can't.
    """
    if generations < 0:
        raise UserError(f"generations is {generations}: expected 0 or more")
    if not 0 <= seed < 2**32:
        raise UserError(f"seed is {seed}: expected 0 to {2**32 - 1}")
    if (generations + 1) * batch_size >= 2**31:
        raise UserError(
            f"{generations} generations of {batch_size}: expected fewer than 2^31 evaluations"
        )


def segment_lengths(generations: int, *, length: int) -> Iterator[int]:
    """Cut a number of generations into full segments and a last, shorter one."""
    while generations > 0:
        yield min(length, generations)
        generations -= length


def raise_if_bad(state: EvolutionState) -> None:
    """Stop a run whose network gave NaN or infinite scores.

    Raises:
      UserError: names the first generation in which it did.
    """
    generation = int(state.bad_generation)
    if generation >= 0:
        raise UserError(
            f"the network gave NaN or infinite scores, first in generation {generation}: "
            "none entered the archive; check its weights and preprocessing"
        )
