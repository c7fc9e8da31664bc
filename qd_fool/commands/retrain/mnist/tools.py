"""Compiled functions of a round of retraining: training, evolution of many seeds, scoring.

Each function is compiled once for ten classes and once for eleven: the first network has ten
classes, all others eleven. With eleven classes from the start, compilation would take half as
long. But a class without training images would still receive confidence on every picture, and the
first network should be an ordinary one.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Int, PyTree, UInt8, UInt32

from qd_fool.commands.retrain.mnist.files import DIGITS
from qd_fool.commands.retrain.mnist.plan import GROUP, RetrainPlan
from qd_fool.devices.mesh import make_mesh, replicate, split
from qd_fool.devices.processes import ALONE, Team, gather
from qd_fool.map_elites.many_seeds import SeedEvolution, make_seed_evolution
from qd_fool.map_elites.segments import raise_if_bad
from qd_fool.models.architectures.lenet import LeNet
from qd_fool.models.retrained import with_new_class
from qd_fool.models.scorer import Scorer
from qd_fool.scoring.score import ScoreFunction, shared_score_function
from qd_fool.training.lenet import init_training, train_steps

BLOCK = 100
"""Steps of training in one compiled call."""


Tick = Callable[[], bool]
"""Function to call after each piece of work. It returns True if the work must stop."""


@dataclasses.dataclass(frozen=True, eq=False)
class TrainingSet:
    """The images to train on, on the device.

    Attributes:
      images: Images, followed by blank ones, so that all rounds have one shape.
      labels: Class of each image.
      count: Number of images to train on, from the first.
    """

    images: UInt8[Array, "room 28 28 1"]
    labels: Int[Array, " room"]
    count: int


class Train(Protocol):
    """A function that trains a network from scratch. It returns None if it was stopped."""

    def __call__(
        self, training_set: TrainingSet, *, classes: int, seed: int, tick: Tick
    ) -> PyTree[Array] | None:
        """Parameters of the trained network."""


class Evolve(Protocol):
    """A function that evolves pictures against a network. It returns None if it was stopped."""

    def __call__(
        self, encoding: str, params: PyTree[Array], *, seeds: np.ndarray, tick: Tick
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """The elites of the ten digits, and counted evaluations until each had 0.99, or -1.

        Shapes: `(seeds, 10, height, width, channels)` and `(seeds, 10)`.
        """


@dataclasses.dataclass(frozen=True)
class Tools:
    """The functions of a round.

    Attributes:
      train: Function that trains a network.
      evolve: Function that evolves pictures.
      score: Score function, `(params, images) -> log-odds (n, classes)`.
      pieces: Number of calls of `tick` in a round.
    """

    train: Train
    evolve: Evolve
    score: ScoreFunction
    pieces: int


def make_tools(planned: RetrainPlan, *, mesh: Mesh | None = None, team: Team = ALONE) -> Tools:
    """Make the functions of a round with a LeNet. Each is compiled at its first call.

    Several processes call each function at the same time. Each trains the network by itself, since
    a batch is too small to be shared; evolutions and scores are shared.

    `evolve` raises UserError if the network gives NaN or infinite scores.

    Args:
      planned: Settings of the retraining.
      mesh: Devices of all processes; all of this process by default.
      team: The processes.
    """
    mesh = make_mesh() if mesh is None else mesh
    recipe, config = planned.recipe, planned.config
    # The seeds per call are a multiple of those that all devices evolve side by side.
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
        training_set: TrainingSet, *, classes: int, seed: int, tick: Tick
    ) -> PyTree[Array] | None:
        state = init_training(LeNet(classes=classes, for_training=True), recipe, seed=seed)
        for start in range(0, recipe.steps, block):
            steps = min(block, recipe.steps - start)
            state, losses = training(classes)(
                state,
                training_set.images,
                training_set.labels,
                steps=steps,
                count=jnp.int32(training_set.count),
            )
            losses.block_until_ready()
            if tick():
                return None
        return state.params

    evolutions: dict[tuple[str, int], SeedEvolution] = {}

    def evolution(encoding: str, params: PyTree[Array]) -> SeedEvolution:
        """The compiled evolution, one for networks of ten classes and one for eleven."""
        classes = params["params"]["ip2"]["bias"].shape[0]
        if (encoding, classes) not in evolutions:
            evolutions[encoding, classes] = new_evolution(encoding, params, classes)
        return evolutions[encoding, classes]

    def new_evolution(encoding: str, params: PyTree[Array], classes: int) -> SeedEvolution:
        evolution_plan = planned.evolutions[encoding]
        scorer = evolution_plan.subject.scorer
        if not isinstance(scorer, Scorer):
            raise TypeError("retraining evolves against one network")
        names = scorer.class_names[:DIGITS]
        if classes > DIGITS:
            names, _ = with_new_class(names, ())
        return make_seed_evolution(
            dataclasses.replace(scorer, class_names=names, params=params),
            evolution_plan.subject.encoding,
            evolution_plan.map_elites,
            generations=planned.generations[encoding],
            mesh=mesh,
            at_once=planned.at_once,
        )

    def evolve(
        encoding: str, params: PyTree[Array], *, seeds: UInt32[np.ndarray, " seeds"], tick: Tick
    ) -> tuple[UInt8[np.ndarray, "seeds 10 height width 1"], Int[np.ndarray, "seeds 10"]] | None:
        evolution_plan = planned.evolutions[encoding]
        run = evolution(encoding, params)
        everywhere = replicate(params, mesh)
        # Counted evaluations by generation; the last entry is for cells that never had 0.99.
        generations = planned.generations[encoding]
        costs = np.array([evolution_plan.evaluations(g) for g in range(generations + 1)] + [-1])
        images, evaluations = [], []
        for start in range(0, len(seeds), group):
            called = seeds[start : start + group]
            # The last call is filled up with seeds whose pictures are dropped.
            filled = np.resize(called, group)
            result = run(everywhere, split(filled, mesh))
            bad, drawn, reached = gather(
                (result.state.bad_generation, result.images, result.reached)
            )
            raise_if_bad(dataclasses.replace(result.state, bad_generation=bad.max()))
            images.append(drawn[: len(called), :DIGITS])
            evaluations.append(costs[reached[: len(called), :DIGITS]])
            if tick():
                return None
        return np.concatenate(images), np.concatenate(evaluations)

    counts = (config.seeds, config.held_out_seeds, config.held_out_seeds)
    calls = sum(-(-n // group) for n in counts)
    subject = planned.evolutions[config.encoding].subject
    score = shared_score_function(subject.score, team, chunk=subject.chunk)
    return Tools(train, evolve, score, -(-recipe.steps // block) + calls)
