"""Training a LeNet, with Caffe's recipe or a short one; pure functions over optax.

Source of the first: caffe/docs/mnist_solver_prototxt.md of the original code: SGD with momentum
0.9, rate 0.01 with the "inv" policy (gamma 1e-4, power 0.75), weight decay 5e-4, biases at twice
the rate, batches of 64, 10,000 steps, no augmentation.

The short one is this project's: AdamW on a fifth of the images, at a rate that rises and falls
once (Loshchilov & Hutter 2019; Smith & Topin 2018).
"""

import dataclasses
from typing import Literal, no_type_check

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8

from qd_fool.models.architectures.lenet import LeNet, forward, preprocess


@dataclasses.dataclass(frozen=True)
class TrainingRecipe:
    """How a LeNet is trained; the defaults are Caffe's.

    Attributes:
      steps: of gradient descent.
      batch_size: images a step.
      optimiser: "sgd", with momentum, as Caffe does it; or "adamw".
      schedule: "inv", rate(t) = learning_rate * (1 + gamma * t) ^ -power; or "one-cycle", up to
        `learning_rate` in a straight line over the first fifth of the steps, then down to 0 along
        a cosine.
      learning_rate, gamma, power: of the schedule.
      momentum: of SGD.
      weight_decay: times the parameters, added to the gradient; AdamW adds it to the step.
    """

    steps: int = 10_000
    batch_size: int = 64
    optimiser: Literal["sgd", "adamw"] = "sgd"
    schedule: Literal["inv", "one-cycle"] = "inv"
    learning_rate: float = 0.01
    gamma: float = 1e-4
    power: float = 0.75
    momentum: float = 0.9
    weight_decay: float = 5e-4


RECIPES = {
    "caffe": TrainingRecipe(),
    "short": TrainingRecipe(
        steps=1000,
        batch_size=128,
        optimiser="adamw",
        schedule="one-cycle",
        learning_rate=0.003,
        weight_decay=0.05,
    ),
}
"""By the name that commands give them."""


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class TrainingState:
    """Training between two steps.

    Attributes:
      params: of the network.
      optimiser: optax's state.
      step: steps done.
      key: of the order of images.
    """

    params: PyTree[Array]
    optimiser: PyTree[Array]
    step: Int[Array, ""]
    key: Key[Array, ""]


def make_optimiser(recipe: TrainingRecipe) -> optax.GradientTransformation:
    """What a recipe asks for: SGD as Caffe does it, or AdamW."""

    def inv(step: Array) -> Array:
        return recipe.learning_rate * (1 + recipe.gamma * step) ** -recipe.power

    up = max(1, recipe.steps // 5)
    one_cycle = optax.schedules.warmup_cosine_decay_schedule(
        0.0, recipe.learning_rate, warmup_steps=up, decay_steps=max(recipe.steps, up + 1)
    )
    schedule = inv if recipe.schedule == "inv" else one_cycle

    if recipe.optimiser == "adamw":
        return optax.adamw(schedule, weight_decay=recipe.weight_decay)

    def is_bias(params: PyTree) -> PyTree:
        return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "bias", params)

    return optax.chain(
        optax.add_decayed_weights(recipe.weight_decay),
        optax.trace(decay=recipe.momentum),
        optax.masked(optax.scale(2.0), is_bias),
        optax.scale_by_learning_rate(schedule),
    )


def init_training(network: LeNet, recipe: TrainingRecipe, *, seed: int) -> TrainingState:
    """Random weights, zero momentum.

    Args:
      network: how many classes it tells apart.
      recipe: for the optimiser.
      seed: of the weights and of the order of images.
    """
    weights, order = jax.random.split(jax.random.key(seed))
    params = network.init(weights, jnp.zeros((1, 28, 28, 1)))
    return TrainingState(params, make_optimiser(recipe).init(params), jnp.int32(0), order)


def loss(
    params: PyTree[Array],
    network: LeNet,
    images: UInt8[Array, "n 28 28 1"],
    labels: Int[Array, " n"],
) -> Float[Array, ""]:
    """Mean cross-entropy."""
    logits = forward(network, params, preprocess(images.astype(jnp.float32)))
    return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))


def train_steps(
    state: TrainingState,
    images: UInt8[Array, "n 28 28 1"],
    labels: Int[Array, " n"],
    *,
    network: LeNet,
    recipe: TrainingRecipe,
    steps: int,
    count: Int[Array, ""] | int | None = None,
) -> tuple[TrainingState, Float[Array, " steps"]]:
    """`steps` steps on batches drawn with replacement; jit this with `steps` static.

    Args:
      state: from `init_training`, or from an earlier call.
      images: to draw from.
      labels: of them.
      network: what is trained.
      recipe: how.
      steps: of this call.
      count: draw from the first so many images only: sets of several sizes, filled up to one, are
        learnt by one compiled program.

    Returns:
      The state, and the loss of each step.
    """
    optimiser = make_optimiser(recipe)
    count = images.shape[0] if count is None else count

    def one(state: TrainingState, _: None) -> tuple[TrainingState, Array]:
        key = jax.random.fold_in(state.key, state.step)
        chosen = jax.random.randint(key, (recipe.batch_size,), 0, count)
        value, gradient = jax.value_and_grad(loss)(
            state.params, network, images[chosen], labels[chosen]
        )
        updates, memory = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        return TrainingState(params, memory, state.step + 1, state.key), value

    return jax.lax.scan(one, state, length=steps)


def accuracy(
    params: PyTree[Array],
    images: UInt8[Array | np.ndarray, "n 28 28 1"],
    labels: Int[Array | np.ndarray, " n"],
    *,
    network: LeNet,
    chunk: int = 500,
) -> float:
    """Share of images, in [0, 1], whose class is the network's first choice."""

    def classify(image: Array) -> Array:
        logits = forward(network, params, preprocess(image[None].astype(jnp.float32)))
        return jnp.argmax(logits[0])

    classes = jax.jit(lambda x: jax.lax.map(classify, x, batch_size=chunk))(images)
    return float(jnp.mean(classes == labels))
