"""Training a LeNet with Caffe's recipe; pure functions over optax.

Source: caffe/docs/mnist_solver_prototxt.md of the original code: SGD with momentum 0.9, rate 0.01
with the "inv" policy (gamma 1e-4, power 0.75), weight decay 5e-4, biases at twice the rate,
batches of 64, 10,000 steps, no augmentation.
"""

import dataclasses
from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree, UInt8

from qd_fool.models.lenet import LeNet, forward, preprocess


@dataclasses.dataclass(frozen=True)
class TrainingRecipe:
    """Caffe's LeNet recipe.

    Attributes:
      steps: of gradient descent.
      batch_size: images a step.
      learning_rate, gamma, power: rate(t) = learning_rate * (1 + gamma * t) ^ -power.
      momentum: of SGD.
      weight_decay: times the parameters, added to the gradient.
    """

    steps: int = 10_000
    batch_size: int = 64
    learning_rate: float = 0.01
    gamma: float = 1e-4
    power: float = 0.75
    momentum: float = 0.9
    weight_decay: float = 5e-4


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
    """SGD as Caffe does it, in optax."""

    def inv(step: Array) -> Array:
        return recipe.learning_rate * (1 + recipe.gamma * step) ** -recipe.power

    def is_bias(params: PyTree) -> PyTree:
        return jax.tree_util.tree_map_with_path(lambda path, _: path[-1].key == "bias", params)

    return optax.chain(
        optax.add_decayed_weights(recipe.weight_decay),
        optax.trace(decay=recipe.momentum),
        optax.masked(optax.scale(2.0), is_bias),
        optax.scale_by_learning_rate(inv),
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
) -> tuple[TrainingState, Float[Array, " steps"]]:
    """`steps` steps on batches drawn with replacement; jit this with `steps` static.

    Returns:
      The state, and the loss of each step.
    """
    optimiser = make_optimiser(recipe)

    def one(state: TrainingState, _: None) -> tuple[TrainingState, Array]:
        key = jax.random.fold_in(state.key, state.step)
        chosen = jax.random.randint(key, (recipe.batch_size,), 0, images.shape[0])
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
