"""Many iterations of an ascent against a network that runs on the host."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from qd_fool.ascent.climb import AscentState, step, variables_of
from qd_fool.ascent.config import AscentConfig
from qd_fool.ascent.objectives import read_objective, to_climb
from qd_fool.devices.mesh import AXIS
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.models.network import Network, has_gradient
from qd_fool.scoring.host import HostScoring


def make_host_segment(
    scorer: Network,
    encoding: Encoding,
    config: AscentConfig,
    *,
    mesh: Mesh,
    length: int,
    facts: dict[str, Any],
) -> Callable[..., Any]:
    """Return a function with the arguments and results of `Ascent.segment`.

    Args:
      scorer: A network that is on the host.
      encoding: Encoding of the genomes.
      config: Settings of the ascent.
      mesh: Mesh of the devices. The work is done on the first one.
      length: Number of columns of the logs.
      facts: Arguments of `climb.step` that stay the same, without `look`.

    Raises:
      UserError: The network has no gradient.
    """
    if not has_gradient(scorer):
        raise UserError(f"{scorer.name} has no gradient to climb: use qd-fool evolve instead")
    variables = variables_of(encoding)
    objective = read_objective(config.objective, scorer)
    scoring = HostScoring(scorer, crops=config.crops)
    device, split = mesh.devices.flat[0], NamedSharding(mesh, PartitionSpec(AXIS))

    # The 8-bit picture that would be saved now.
    @jax.jit
    def draw(genomes: PyTree[Array], values: Array) -> tuple[Array, tuple[Array, ...]]:
        clipped = jnp.clip(values, variables.low, variables.high)
        images = encoding.render(variables.put(genomes, clipped))
        return images, scoring.show(images)

    # The weight of each answer in the objective, and what an iteration notes.
    @jax.jit
    def weigh(answers: Any, classes: Array) -> tuple[Any, tuple[Array, Array, Array]]:
        def total(answers: Any) -> tuple[Array, tuple[Array, Array, Array]]:
            every, outputs = scoring.joined(answers)
            odds = jnp.take_along_axis(every, classes[:, None], axis=1)[:, 0]
            height, merit = to_climb(objective, odds, outputs, classes)
            return jnp.sum(height), (odds, merit, jnp.argmax(every, axis=1) == classes)

        return jax.grad(total, has_aux=True)(answers)

    # The step itself, with the gradient of the unrounded picture.
    @jax.jit
    def move(
        state: AscentState,
        genomes: PyTree[Array],
        classes: Array,
        slope: Array,
        noted: Any,
        at: Any,
    ) -> Any:
        def look(params: Any, genomes: Any, values: Array, held: Any, classes: Array) -> Any:
            del params, held, classes
            back = jax.vjp(lambda values: variables.draw(genomes, values), values)[1]
            odds, merit, top = noted
            return back(slope)[0], odds, merit, top, jax.nn.sigmoid(-odds)

        return step(state, genomes, classes, (), *at, look=look, **facts)

    def climb_chunk(chunk: Any, params: Any, first: int, count: int, last: int) -> Any:
        state, genomes, classes = jax.device_put(chunk, device)
        logs: list[np.ndarray] = [
            np.zeros((len(classes), length), kind) for kind in (np.float32, np.float32, bool)
        ]
        for i in range(count):
            images, shown = draw(genomes, state.values)
            answers = scoring.ask(params, shown, len(classes))
            shares, noted = weigh(answers, classes)
            slope = scoring.image_gradient(params, images, shown, shares)
            at = np.int32(first + i), np.int32(last)
            state, *notes = move(state, genomes, classes, slope, noted, at)
            for log, note in zip(logs, notes, strict=True):
                log[:, i] = np.asarray(note)
        return jax.device_get(state), *logs

    def segment(
        state: AscentState,
        genomes: PyTree[Array],
        classes: Array,
        params: PyTree[Array],
        first: Any,
        count: Any,
        last: Any,
    ) -> Any:
        targets = jax.device_get((state, genomes, classes))
        params = jax.device_put(params, device)
        size = config.chunk
        done = []
        for start in range(0, len(classes), size):
            chunk = jax.tree.map(lambda a, start=start: a[start : start + size], targets)
            done.append(climb_chunk(chunk, params, int(first), int(count), int(last)))
        whole = jax.tree.map(lambda *parts: np.concatenate(parts), *done)
        return jax.device_put(whole, split)

    return segment
