"""Training of a LeNet, with Caffe's recipe or a short one; pure functions over optax.

Source of Caffe's recipe: caffe/docs/mnist_solver_prototxt.md of the original code. It is SGD with
momentum 0.9, rate 0.01 with the "inv" policy (gamma 1e-4, power 0.75), weight decay 5e-4, biases at
twice the rate, batches of 64, 10,000 steps, and no augmentation.

The short recipe is this project's: AdamW on a fifth of the images, at a rate that rises and falls
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
    """Settings of the training of a LeNet; the defaults are Caffe's.

    Attributes:
      steps: Number of steps of gradient descent.
      batch_size: Images per step.
      optimiser: "sgd", with momentum, as in Caffe; or "adamw".
      schedule: "inv": rate(t) = learning_rate * (1 + gamma * t) ^ -power. "one-cycle": the rate
        rises to `learning_rate` in a straight line over the first fifth of the steps, then falls to
        0 along a cosine.
      learning_rate, gamma, power: Numbers of the schedule.
      momentum: Momentum of SGD.
      weight_decay: Factor of the parameters that is added to the gradient; AdamW adds it to the
        step.
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
"""Recipes by the names that commands use."""


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers under vmap
@flax.struct.dataclass
class TrainingState:
    """Training between two steps.

    Attributes:
      params: Parameters of the network.
      optimiser: State of the optimiser of optax.
      step: Number of steps done.
      key: Random key of the order of images.
    """

    params: PyTree[Array]
    optimiser: PyTree[Array]
    step: Int[Array, ""]
    key: Key[Array, ""]


def make_optimiser(recipe: TrainingRecipe) -> optax.GradientTransformation:
    """Return the optimiser of a recipe: SGD as in Caffe, or AdamW."""

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
    """Return the state before the first step: random weights, zero momentum.

    Args:
      network: Network to train.
      recipe: Settings of the training.
      seed: Seed of the weights and of the order of images.
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
    """Return the mean cross-entropy."""
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
    """Train `steps` steps on batches drawn with replacement; jit this with `steps` static.

    Args:
      state: State from `init_training`, or from an earlier call.
      images: Images to draw from.
      labels: Classes of the images.
      network: Network to train.
      recipe: Settings of the training.
      steps: Number of steps in this call.
      count: Number of images to draw from, counted from the first; all by default. With this, one
        compiled program can learn from sets of several sizes that are filled up to one size.

    Returns:
      The state, and the loss of each step.
    """
    optimiser = make_optimiser(recipe)
    count = images.shape[0] if count is None else count

    def one(state: TrainingState, _: None) -> tuple[TrainingState, Array]:
        # The batch depends on the number of the step alone, however steps are split over calls.
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
    """Return the share of images, in [0, 1], whose top class in the network is their label."""

    def classify(image: Array) -> Array:
        logits = forward(network, params, preprocess(image[None].astype(jnp.float32)))
        return jnp.argmax(logits[0])

    classes = jax.jit(lambda x: jax.lax.map(classify, x, batch_size=chunk))(images)
    return float(jnp.mean(classes == labels))
