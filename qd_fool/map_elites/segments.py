"""Many generations in one call: compiled for many devices, or against a network on the host.

`make_segment` is the one place that decides between the two.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, PyTree

from qd_fool.devices.mesh import AXIS
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.map_elites.config import MapElitesConfig
from qd_fool.map_elites.generation import step
from qd_fool.map_elites.host_segments import HostSegment
from qd_fool.map_elites.state import EvolutionState, GenerationLog
from qd_fool.models.network import Network, is_on_host
from qd_fool.scoring.crops import check_crops

Segment = Callable[[EvolutionState, PyTree[Array], Any], tuple[EvolutionState, GenerationLog]]


def make_segment(
    scorer: Network,
    encoding: Encoding,
    config: MapElitesConfig,
    *,
    mesh: Mesh,
    length: int,
    log_offspring: bool = False,
) -> Segment:
    """Compile up to `length` generations as one call.

    Args:
      scorer: The network's facts.
      encoding: Encoding of the genomes.
      config: Settings of the run.
      mesh: Devices to spread a batch over.
      length: Largest number of generations per call.
      log_offspring: Whether the log holds all offspring, `(length, n, ...)`.

    Returns:
      A jitted function `(state, params, generations) -> (state, log)`. `generations`, at most
      `length`, is a traced number: shorter segments run the same program. Rows of `log` after
      `generations` hold zeros. The state is donated. State and log are replicated over the mesh.
      For a network on the host it is a `HostSegment`, whose log has `generations` rows.

    Raises:
      UserError: Pictures of this encoding can't be cut for this network, or an emitter needs a
        gradient that it does not have.
    """
    check_crops(scorer, encoding.image_shape, crops=config.crops)
    if is_on_host(scorer):
        device = mesh.devices.flat[0]
        return HostSegment(scorer, encoding, config, device=device, log_offspring=log_offspring)
    devices = mesh.devices.size

    # A segment is a scan of fixed length, so that one program serves segments of any length.
    def scan(
        state: EvolutionState, params: PyTree[Array], generations: Array
    ) -> tuple[EvolutionState, GenerationLog]:
        # A jitted function is traced once, although it is called twice below.
        @functools.partial(jax.jit, inline=True)
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

        # A generation beyond the requested number leaves the state as it is and an empty row.
        nothing = jax.tree.map(
            lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(lambda s: run(s)[1], state)
        )

        def body(state: EvolutionState, i: Array) -> tuple[EvolutionState, GenerationLog]:
            return jax.lax.cond(i < generations, run, lambda s: (s, nothing), state)

        return jax.lax.scan(body, state, jnp.arange(length))

    # State, weights and log are the same on every device: `tell` gathers the shares, and all
    # devices then do the same arithmetic. The checker cannot see this through the cond.
    everywhere = PartitionSpec()
    sharded = jax.shard_map(
        scan,
        mesh=mesh,
        in_specs=(everywhere, everywhere, everywhere),
        out_specs=(everywhere, everywhere),
        check_vma=False,
    )
    return jax.jit(sharded, donate_argnums=0)


def compile_segment(segment: Any, state: EvolutionState, params: PyTree[Array]) -> Segment:
    """Compile a segment before its first call.

    Args:
      segment: Segment from `make_segment`.
      state: Any state of the run, on the devices. It stays as it is.
      params: The network's parameters, on the devices.
    """
    if isinstance(segment, HostSegment):
        segment.compile(state)
        return segment
    return segment.lower(state, params, np.int32(1)).compile()


def segment_lengths(generations: int, *, length: int) -> Iterator[int]:
    """Cut a number of generations into full segments and a last, shorter one."""
    while generations > 0:
        yield min(length, generations)
        generations -= length


def raise_if_bad(state: EvolutionState) -> None:
    """Stop a run whose network gave NaN or infinite scores.

    Raises:
      UserError: There was such a score. The message names the first generation that had one.
    """
    generation = int(state.bad_generation)
    if generation >= 0:
        raise UserError(
            f"the network gave NaN or infinite scores, first in generation {generation}: "
            "none entered the archive; check its weights and preprocessing"
        )
