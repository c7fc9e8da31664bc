"""What a round of retraining is made with: training, evolution of many seeds, scoring.

Each is compiled once a number of classes: the first network has ten, all others eleven. It could
have had eleven, too, and half as much to compile; but a class that nobody ever saw says something
about every picture, and the first network is to be an ordinary one.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PyTree, UInt8, UInt32

from qd_fool.commands.retrain.mnist.plan import GROUP, RetrainPlan
from qd_fool.devices.mesh import make_mesh, replicate
from qd_fool.map_elites.many_seeds import SeedEvolution, make_seed_evolution
from qd_fool.map_elites.segments import raise_if_bad
from qd_fool.models.architectures.lenet import LeNet
from qd_fool.models.retrained import NEW_CLASS
from qd_fool.models.scorer import Scorer
from qd_fool.scoring.score import ScoreFunction
from qd_fool.training.lenet import init_training, train_steps

BLOCK = 100
"""Steps of training in one compiled call."""


Tick = Callable[[], bool]
"""Called when a piece is done, with whether to stop now as its answer."""


@dataclasses.dataclass(frozen=True)
class Tools:
    """What a round is made with.

    Attributes:
      train: `(images, labels, count, classes, seed, tick) -> params`, from scratch on the first
        `count` images; None if it was stopped.
      evolve: `(encoding, params, seeds, tick) -> (images, evaluations)` of the ten digits' elites,
        `(seeds, 10, height, width, channels)` and `(seeds, 10)`, those to 0.99 or -1; None if it
        was stopped.
      score: `(params, images) -> log-odds (n, classes)`.
      pieces: how often `tick` is called in a round.
    """

    train: Callable[[Array, Array, int, int, int, Tick], PyTree[Array] | None]
    evolve: Callable[[str, PyTree[Array], np.ndarray, Tick], tuple[np.ndarray, np.ndarray] | None]
    score: ScoreFunction
    pieces: int


def make_tools(planned: RetrainPlan) -> Tools:
    """Those of a LeNet; nothing is compiled before it is used.

    Raises:
      UserError: while evolving, if the network gave NaN or infinite scores.
    """
    mesh, recipe, config = make_mesh(), planned.recipe, planned.config
    devices = mesh.devices.size
    per_device = -(-max(1, -(-GROUP // devices)) // planned.at_once) * planned.at_once
    group = per_device * devices
    block = min(BLOCK, recipe.steps)

    @functools.cache
    def training(classes: int) -> Any:
        run = functools.partial(
            train_steps, network=LeNet(classes=classes, for_training=True), recipe=recipe
        )
        return jax.jit(run, static_argnames="steps", donate_argnums=0)

    def train(
        images: Array, labels: Array, count: int, classes: int, seed: int, tick: Tick
    ) -> PyTree[Array] | None:
        state = init_training(LeNet(classes=classes, for_training=True), recipe, seed=seed)
        for start in range(0, recipe.steps, block):
            steps = min(block, recipe.steps - start)
            state, losses = training(classes)(
                state, images, labels, steps=steps, count=jnp.int32(count)
            )
            losses.block_until_ready()
            if tick():
                return None
        return state.params

    @functools.cache
    def evolution(encoding: str, classes: int) -> SeedEvolution:
        its = planned.evolutions[encoding]
        if not isinstance(its.scorer, Scorer):
            raise TypeError("retraining evolves against one network")
        names = its.scorer.class_names[:10] + (NEW_CLASS,) * (classes - 10)
        return make_seed_evolution(
            dataclasses.replace(its.scorer, class_names=names),
            its.encoding,
            its.map_elites,
            generations=planned.generations[encoding],
            mesh=mesh,
            at_once=planned.at_once,
        )

    def evolve(
        encoding: str, params: PyTree[Array], seeds: UInt32[np.ndarray, " seeds"], tick: Tick
    ) -> tuple[UInt8[np.ndarray, "seeds 10 height width 1"], Int[np.ndarray, "seeds 10"]] | None:
        its = planned.evolutions[encoding]
        run = evolution(encoding, params["params"]["ip2"]["bias"].shape[0])
        everywhere = replicate(params, mesh)
        costs = np.array(
            [its.evaluations(g) for g in range(planned.generations[encoding] + 1)] + [-1]
        )
        images, evaluations = [], []
        for start in range(0, len(seeds), group):
            some = seeds[start : start + group]
            # The last call is filled up with seeds whose pictures are dropped.
            filled = np.resize(some, group)
            result = jax.device_get(run(everywhere, jnp.asarray(filled)))
            bad = result.state.bad_generation
            raise_if_bad(jax.tree.map(lambda a, bad=bad: a[np.argmax(bad)], result.state))
            images.append(result.images[: len(some), :10])
            evaluations.append(costs[result.reached[: len(some), :10]])
            if tick():
                return None
        return np.concatenate(images), np.concatenate(evaluations)

    counts = (config.seeds, config.held_out_seeds, config.held_out_seeds)
    calls = sum(-(-n // group) for n in counts)
    score = planned.evolutions[config.encoding].score
    return Tools(train, evolve, score, -(-recipe.steps // block) + calls)
