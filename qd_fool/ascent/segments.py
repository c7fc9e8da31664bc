"""Many iterations of an ascent in one call: compiled for many devices, or asking on the host."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, PyTree

from qd_fool.ascent import rules as ascent_rules
from qd_fool.ascent.climb import (
    AscentState,
    make_look,
    mean_picture,
    step,
    values_are_pixels,
    variables_of,
)
from qd_fool.ascent.config import AscentConfig
from qd_fool.ascent.host_segments import make_host_segment
from qd_fool.devices.chunks import map_chunks
from qd_fool.devices.mesh import AXIS
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.models.network import Network, is_on_host
from qd_fool.scoring.crops import check_crops

SEGMENT = 64
"""Most iterations per call."""


class Ascent(NamedTuple):
    """Compiled parts of an ascent. Arrays of targets are split over devices, in whole chunks.

    Attributes:
      begin: Function `genomes, values -> state`.
      segment: Function `state, genomes, classes, params, first, count, last -> state, log_odds,
        merit, top`. It runs `count` iterations from `first`, at most `SEGMENT`. The logs are
        `(n, SEGMENT)`. After iteration `last` nothing moves. The state is donated.
      finish: Function `state, genomes, values at the start -> norm (n,), distance (n,)`.
      mesh: Mesh of the devices.
      config: Settings of the ascent.
    """

    begin: Callable[..., Any]
    segment: Callable[..., Any]
    finish: Callable[..., Any]
    mesh: Mesh
    config: AscentConfig


def make_ascent(
    scorer: Network,
    encoding: Encoding,
    config: AscentConfig,
    *,
    mesh: Mesh,
    rule: optax.GradientTransformation | None = None,
) -> Ascent:
    """Compile the parts of an ascent.

    Args:
      scorer: The network.
      encoding: Encoding of the genomes.
      config: Settings of the ascent.
      mesh: Mesh of the devices, from `make_mesh`.
      rule: Any optimiser of optax, in place of the configuration's.

    Raises:
      UserError: Settings that do not suit the network or the encoding.
    """
    # Check that the settings suit the network and the encoding.
    check_crops(scorer, encoding.image_shape, crops=config.crops)
    variables = variables_of(encoding)
    regularisers = config.regularisers()
    if regularisers and not values_are_pixels(encoding):
        raise UserError(
            f"decay, blur and percentiles are for pixels: expected none with the {encoding.name} "
            "encoding's values"
        )

    # The arguments of `step` that stay the same.
    rule_of_one = config.step_rule() if rule is None else optax.with_extra_args_support(rule)
    channels = encoding.image_shape[2]
    centre = mean_picture(scorer, channels)
    facts: dict[str, Any] = {
        "rule": rule_of_one,
        "regulariser": ascent_rules.chain(regularisers) if regularisers else None,
        "variables": variables,
        "shape": encoding.image_shape,
        "centre": centre,
    }

    # The one place that decides whether JAX or the host calls the network.
    look: Any = None
    host_segment = None
    if is_on_host(scorer):
        host_segment = make_host_segment(
            scorer, encoding, config, mesh=mesh, length=SEGMENT, facts=facts
        )
    else:
        look = make_look(scorer, encoding, config)

    # Before the first iteration: no iterate yet, so any picture will be better.
    def begin(genomes: PyTree[Array], values: Array) -> AscentState:
        worst = jnp.full(len(values), -jnp.inf, jnp.float32)
        return AscentState(
            values=values,
            best=genomes,
            best_merit=worst,
            best_log_odds=worst,
            best_iteration=jnp.full(len(values), -1, jnp.int32),
            optimiser=jax.vmap(rule_of_one.init)(values),
        )

    # Many iterations: the logs are arrays of fixed length, of which `count` columns are filled.
    def segment(
        state: AscentState,
        genomes: PyTree[Array],
        classes: Array,
        params: PyTree[Array],
        first: Array,
        count: Array,
        last: Array,
    ) -> tuple[AscentState, Array, Array, Array]:
        def climb_chunk(chunk: Any) -> Any:
            state, genomes, classes = chunk

            def iterate(i: Array, carried: Any) -> Any:
                state, *logs = carried
                state, *noted = step(
                    state, genomes, classes, params, first + i, last, look=look, **facts
                )
                return state, *(log.at[:, i].set(x) for log, x in zip(logs, noted, strict=True))

            kinds = (jnp.float32, jnp.float32, bool)
            logs = [jnp.zeros((len(classes), SEGMENT), kind) for kind in kinds]
            return jax.lax.fori_loop(0, count, iterate, (state, *logs))

        # The loop over chunks is outside and the loop over iterations inside: a chunk's data stays
        # in the cache.
        return map_chunks(climb_chunk, (state, genomes, classes), chunk=config.chunk)

    # After the last iteration: how far the last pictures are from the mean and from the starts.
    def finish(state: AscentState, genomes: PyTree[Array], start: Array) -> tuple[Array, Array]:
        def measure_chunk(chunk: Any) -> tuple[Array, Array]:
            genomes, last, start = chunk
            # The starts are clipped, as the last iteration left the values clipped.
            start = jnp.clip(start, variables.low, variables.high)
            pictures = variables.draw(genomes, last)
            from_centre = pictures - centre[None, None, None]
            from_start = pictures - variables.draw(genomes, start)
            return _norms(from_centre), _norms(from_start)

        return map_chunks(measure_chunk, (genomes, state.values, start), chunk=config.chunk)

    # Targets are split over devices; weights and numbers are the same everywhere.
    split, everywhere = PartitionSpec(AXIS), PartitionSpec()

    def spread(function: Callable[..., Any], specs: tuple[PartitionSpec, ...]) -> Any:
        return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=split, check_vma=False)

    return Ascent(
        begin=jax.jit(spread(begin, (split, split))),
        segment=host_segment
        or jax.jit(
            spread(segment, (*[split] * 3, *[everywhere] * 4)),
            donate_argnums=0,
        ),
        finish=jax.jit(spread(finish, (split, split, split))),
        mesh=mesh,
        config=config,
    )


def _norms(x: Float[Array, "n height width channels"]) -> Float[Array, " n"]:
    return jnp.sqrt(jnp.sum(x * x, axis=(1, 2, 3)))
