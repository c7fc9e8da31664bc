"""`qd-fool train`: a LeNet on MNIST, saved as safetensors."""

import dataclasses
import os
import time
from functools import partial

import jax
from rich.console import Console

from qd_fool.commands.common.progress import progress_bar
from qd_fool.commands.config import TrainConfig
from qd_fool.data.mnist import load_mnist
from qd_fool.errors import UserError, check_range
from qd_fool.models.architectures.lenet import LeNet, save_lenet
from qd_fool.training.lenet import RECIPES, accuracy, init_training, train_steps


def train_run(config: TrainConfig, *, console: Console) -> float:
    """Train, save, and print the accuracy on the 10,000 test images.

    Returns:
      The accuracy, in [0, 1].

    Raises:
      UserError: MNIST is missing and can't be downloaded, or the file can't be written.
    """
    recipe = RECIPES[config.recipe]
    check_range(config, "steps", least=1)
    if config.steps is not None:
        recipe = dataclasses.replace(recipe, steps=config.steps)
    folder = config.out.parent
    if config.out.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UserError(
            f"--out {config.out}: expected a file in a directory that can be written to"
        )
    data_dir = None if config.data_dir is None else str(config.data_dir)
    images, labels = jax.device_put(load_mnist("train", data_dir=data_dir))
    network = LeNet(for_training=True)
    state = init_training(network, recipe, seed=config.seed)
    block = min(100, recipe.steps)
    run = jax.jit(
        partial(train_steps, network=network, recipe=recipe),
        static_argnames="steps",
        donate_argnums=0,
    )
    started = time.perf_counter()
    with progress_bar(console, "step", total=recipe.steps) as bar:
        for start in range(0, recipe.steps, block):
            steps = min(block, recipe.steps - start)
            state, losses = run(state, images, labels, steps=steps)
            losses.block_until_ready()
            bar.advance(steps)
    seconds = time.perf_counter() - started
    test_images, test_labels = jax.device_put(load_mnist("test", data_dir=data_dir))
    score = accuracy(state.params, test_images, test_labels, network=network)
    save_lenet(config.out, state.params)
    console.print(
        f"{config.out}: {score:.2%} on {len(test_labels):,} test images, "
        f"{recipe.steps:,} steps in {seconds:.0f} s, last loss {float(losses[-1]):.4f}"
    )
    return score
