"""Training: the optimiser against Caffe's update by hand, and real learning on real digits."""

import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from qd_fool.models.architectures.lenet import LeNet
from qd_fool.training.lenet import (
    RECIPES,
    TrainingRecipe,
    accuracy,
    init_training,
    make_optimiser,
    train_steps,
)


def test_optimiser_equals_caffes_rule():
    """v = momentum v + (g + wd w); w -= rate(t) lr_mult v, biases at twice the rate."""
    recipe = TrainingRecipe()
    params = {"params": {"a": {"kernel": jnp.array([2.0]), "bias": jnp.array([-1.0])}}}
    optimiser = make_optimiser(recipe)
    memory = optimiser.init(params)
    w = {"kernel": 2.0, "bias": -1.0}
    v = {"kernel": 0.0, "bias": 0.0}
    for t in range(4):
        gradient = {"params": {"a": {"kernel": jnp.array([0.5]), "bias": jnp.array([0.25])}}}
        updates, memory = optimiser.update(gradient, memory, params)
        params = jax.tree.map(jnp.add, params, updates)
        rate = 0.01 * (1 + 1e-4 * t) ** -0.75
        for name, g, mult in (("kernel", 0.5, 1), ("bias", 0.25, 2)):
            v[name] = 0.9 * v[name] + g + 5e-4 * w[name]
            w[name] -= rate * mult * v[name]
            np.testing.assert_allclose(params["params"]["a"][name][0], w[name], rtol=1e-6)


def test_a_short_training_learns_real_digits(mnist_test):
    images, labels = map(jnp.asarray, mnist_test)
    network, recipe = LeNet(for_training=True), TrainingRecipe()
    state = init_training(network, recipe, seed=0)
    run = jax.jit(partial(train_steps, network=network, recipe=recipe), static_argnames="steps")
    # A label of -1 would make the loss NaN: what lies behind the count is never drawn.
    spoilt = labels.at[8000:].set(-1)
    state, losses = run(state, images, spoilt, steps=60, count=jnp.int32(8000))
    assert np.mean(losses[-20:]) < 0.5 * np.mean(losses[:5])
    assert accuracy(state.params, images[9000:], labels[9000:], network=network) > 0.8


TRAINING = """
import hashlib, sys, jax, numpy as np
from functools import partial
from qd_fool.models.architectures.lenet import LeNet
from qd_fool.training.lenet import RECIPES, init_training, loss, train_steps
network, recipe, steps = LeNet(for_training=True), RECIPES[sys.argv[1]], int(sys.argv[2])
rng = np.random.default_rng(0)
images, labels = rng.integers(0, 256, (300, 28, 28, 1), np.uint8), rng.integers(0, 10, 300)
if steps:
    start = init_training(network, recipe, seed=0)
    train = partial(train_steps, network=network, recipe=recipe, steps=steps)
    found = jax.jit(train)(start, images, labels)[0].params
else:
    n = recipe.batch_size
    shapes = jax.eval_shape(lambda: init_training(network, recipe, seed=0).params)
    params = jax.tree.map(lambda a: rng.normal(0, 0.05, a.shape).astype(a.dtype), shapes)
    slope = jax.grad(lambda params, *batch: loss(params, network, *batch))
    found = jax.jit(slope)(params, images[:n], labels[:n])
for leaf in jax.tree.leaves(found):
    print(leaf.shape, hashlib.sha256(np.asarray(leaf).tobytes()).hexdigest())
"""
"""Shapes and hashes of a LeNet's arrays after some steps, or of its first gradients."""


def trained_on(cores, recipe, steps):
    """What `TRAINING` prints, once per number of cores."""
    command = [sys.executable, "-c", TRAINING, recipe, str(steps)]
    compiles = {**os.environ, "JAX_ENABLE_COMPILATION_CACHE": "0"}  # each for its own threads
    pipes = {"stdout": subprocess.PIPE, "text": True}
    processes = [
        subprocess.Popen(command, env={**compiles, "PJRT_NPROC": str(n)}, **pipes) for n in cores
    ]
    said = [process.communicate()[0] for process in processes]
    assert not any(process.returncode for process in processes)
    assert all("(5, 5, 20, 50)" in text for text in said)
    return said


def test_the_number_of_cores_changes_no_bit(capsys, monkeypatch):
    """XLA cuts one long sum into as many parts as there are threads: here four, one per device."""
    monkeypatch.setattr(sys, "argv", ["-c", "short", "0"])
    exec(TRAINING, {})  # noqa: S102 - the code above
    assert trained_on((1,), "short", 0) == [capsys.readouterr().out]


@pytest.mark.long
@pytest.mark.parametrize("recipe", list(RECIPES))
def test_any_number_of_cores_changes_no_bit(recipe):
    assert len(set(trained_on((1, 2, 3, 4, 8, 16, 64), recipe, 40))) == 1


def test_same_seed_same_network():
    network, recipe = LeNet(), TrainingRecipe()
    a, b, c = (init_training(network, recipe, seed=s).params for s in (0, 0, 1))
    kernel = lambda p: p["params"]["conv1"]["kernel"]
    np.testing.assert_array_equal(kernel(a), kernel(b))
    assert not np.array_equal(kernel(a), kernel(c))
    assert np.abs(kernel(a)).max() <= np.sqrt(3 / 25)


def test_the_short_recipe_rises_and_falls_once():
    """AdamW's first step is the rate times the gradient's sign, and the decay."""
    recipe = RECIPES["short"]
    assert recipe.steps * recipe.batch_size * 5 == 10_000 * 64
    params = {"kernel": jnp.array([2.0])}
    optimiser = make_optimiser(recipe)
    memory = optimiser.init(params)

    def one(memory, _):
        updates, memory = optimiser.update({"kernel": jnp.array([1.0])}, memory, params)
        return memory, -updates["kernel"][0]

    sizes = np.asarray(jax.jit(lambda m: jax.lax.scan(one, m, length=recipe.steps)[1])(memory))
    top = recipe.learning_rate * (1 + recipe.weight_decay * 2.0)
    assert np.argmax(sizes) == recipe.steps // 5
    np.testing.assert_allclose(max(sizes), top, rtol=1e-3)
    assert sizes[0] == 0.0
    assert 0.0 < sizes[-1] < 1e-4 * top
