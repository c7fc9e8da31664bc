"""A whole run in memory."""

import jax
import numpy as np

from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.encodings import Encoding
from qd_fool.map_elites.config import MapElitesConfig
from qd_fool.map_elites.extent import check_extent
from qd_fool.map_elites.segments import make_segment, raise_if_bad, segment_lengths
from qd_fool.map_elites.state import EvolutionState, init
from qd_fool.models import Scorer
from qd_fool.models.scorer import default_chunk


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
