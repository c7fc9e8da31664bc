"""A whole run in memory."""

import jax
import numpy as np

from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.encodings import Encoding
from qd_fool.map_elites.config import MapElitesConfig
from qd_fool.map_elites.division import plan_tuning
from qd_fool.map_elites.extent import check_extent
from qd_fool.map_elites.host_segments import Unfinished
from qd_fool.map_elites.segments import make_segment, raise_if_bad, segment_lengths
from qd_fool.map_elites.state import EvolutionState, init
from qd_fool.models.network import Network, default_chunk


def evolve(
    scorer: Network,
    encoding: Encoding,
    *,
    generations: int,
    seed: int = 0,
    config: MapElitesConfig | None = None,
    devices: int | None = None,
) -> EvolutionState:
    """Evolve an archive of fooling images, in memory.

    Args:
      scorer: Network, from `load_scorer`, `from_onnx` or `from_callable`.
      encoding: Encoding of the genomes, from `make_encoding`.
      generations: Number of generations after the random generation 0.
      seed: Seed in 0..2^32-1.
      config: Settings of the run. By default the paper's, with the network's default chunk.
      devices: Number of local devices to use; all by default. Does not change the result.

    Returns:
      The run after the last generation, on the host.

    Raises:
      UserError: Bad settings, NaN scores, or a network on the host that failed. Then the error's
        `__cause__` has the `state` after the last whole generation.
    """
    config = config or MapElitesConfig(chunk=default_chunk(scorer))
    check_extent(generations=generations, batch_size=config.batch_size, seed=seed)
    mesh = make_mesh(devices)
    segment = make_segment(scorer, encoding, config, mesh=mesh, length=64)
    blank = init(encoding, len(scorer.class_names), seed=seed, feedback=config.feedback)
    blank = plan_tuning(blank, config=config, generations=generations)
    state = replicate(blank, mesh)
    params = replicate(scorer.params, mesh)
    for count in segment_lengths(generations + 1, length=64):
        try:
            state, _ = segment(state, params, np.int32(count))
        except Unfinished as unfinished:
            raise unfinished.cause from unfinished
        raise_if_bad(state)
    return jax.device_get(state)
