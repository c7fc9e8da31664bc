"""Training of one more class, "fooling image", that keeps a network's other answers.

The new class learns from evolved pictures by cross-entropy. Distillation keeps the network's
answers on photographs (Hinton et al., 2015; for new classes Li & Hoiem, 2016, "Learning without
forgetting"): it penalises the divergence of the answers from the first network's answers on the
same crops, in which the new class has probability 0. All functions are pure, over optax.
"""

from collections.abc import Callable
from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, UInt8

from qd_fool.devices.mesh import AXIS, replicate
from qd_fool.models.retrained import head_of, map_named, name_leaves
from qd_fool.models.scorer import Scorer
from qd_fool.models.sides import sides_of
from qd_fool.scoring.crops import crop
from qd_fool.training.finetune_batches import (
    FinetuneRecipe,
    chunk_of,
    rows_of_shares,
    turns_of,
)


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers
@flax.struct.dataclass
class FinetuneState:
    """Training between two steps.

    Attributes:
      trained: Arrays that learn, by name.
      optimiser: State of the optimiser of optax.
      step: Number of steps done.
      key: Random key of the crops and mirrors.
    """

    trained: dict[str, Array]
    optimiser: PyTree[Array]
    step: Int[Array, ""]
    key: Key[Array, ""]


@no_type_check
@flax.struct.dataclass
class FinetuneLog:
    """Means over the pictures of a step, each a scalar.

    Attributes:
      divergence: Divergence of the answers on photographs from the first network's, in nats.
      cross_entropy: Cross-entropy of the evolved pictures, in nats.
      agreement: Share of photographs with the same top class as in the first network.
      caught: Share of evolved pictures whose top class is the new class.
    """

    divergence: Float[Array, ""]
    cross_entropy: Float[Array, ""]
    agreement: Float[Array, ""]
    caught: Float[Array, ""]


Places = tuple[Int[Array, "2 n"], Int[Array, "2 n"], Bool[Array, "2 n"]]
"""Tops, lefts and mirrors of the crops of n photographs and n evolved pictures."""


def make_optimiser(recipe: FinetuneRecipe) -> optax.GradientTransformation:
    """Return Adam with a learning rate that falls along a cosine."""
    return optax.adam(optax.cosine_decay_schedule(recipe.learning_rate, recipe.steps))


def init_finetune(
    params: PyTree[Array], learns: Callable[[str], bool], recipe: FinetuneRecipe, *, seed: int
) -> FinetuneState:
    """Return the state before the first step.

    Args:
      params: Parameters of the network with its new class.
      learns: Function from the name of an array to whether this array learns.
      recipe: Settings of the training.
      seed: Seed of the crops and mirrors.
    """
    # Copies, because compiled steps reuse the memory of the state's arrays for their results.
    trained = {name: jnp.array(a) for name, a in name_leaves(params).items() if learns(name)}
    optimiser = make_optimiser(recipe).init(trained)
    return FinetuneState(trained, optimiser, jnp.int32(0), jax.random.key(seed))


def place_state(state: FinetuneState, mesh: Mesh) -> FinetuneState:
    """Copy a state to each device of a mesh, as compiled steps return it.

    Steps that got it otherwise would be compiled again at their second call.
    """
    words = replicate(jax.random.key_data(state.key), mesh)
    key = jax.random.wrap_key_data(words)
    rest = (state.trained, state.optimiser, state.step)
    trained, optimiser, step = replicate(rest, mesh)
    return FinetuneState(trained, optimiser, step, key)


def with_trained(params: PyTree[Array], trained: dict[str, Array]) -> PyTree[Array]:
    """Return the parameters, with the trained arrays in place of the first ones."""
    return map_named(lambda name, leaf: trained.get(name, leaf), params)


def random_places(key: Key[Array, ""], n: int, *, room: tuple[int, int]) -> Places:
    """Draw the crops of n photographs and n evolved pictures: any place, mirrored half of the time.

    Args:
      key: Random key of this step.
      n: Number of pictures of each kind.
      room: Rows and columns by which a picture is larger than the network's input.
    """
    top, left, mirror = jax.random.split(key, 3)
    return (
        jax.random.randint(top, (2, n), 0, room[0] + 1),
        jax.random.randint(left, (2, n), 0, room[1] + 1),
        jax.random.bernoulli(mirror, shape=(2, n)),
    )


def loss(
    trained: dict[str, Array],
    params: PyTree[Array],
    teacher: PyTree[Array],
    images: UInt8[Array, "2 n height width channels"],
    places: Places,
    *,
    scorer: Scorer,
    recipe: FinetuneRecipe,
) -> tuple[Float[Array, ""], FinetuneLog]:
    """Return the loss summed over n photographs and n evolved pictures, and sums for the log.

    Args:
      trained: Arrays that learn.
      params: Parameters of the network with its new class; arrays that learn are ignored here.
      teacher: Parameters of the first network.
      images: Photographs, then evolved pictures.
      places: Places of the crops.
      scorer: Facts of the first network.
      recipe: Settings of the training.
    """
    # Cut the crops of both kinds of pictures, and let one forward pass answer all of them.
    n = images.shape[1]
    flat, where = jax.tree.map(lambda a: a.reshape(2 * n, *a.shape[2:]), (images, places))
    cut = jax.vmap(lambda x, place: crop(x[None], place, size=scorer.input_size)[0])(flat, where)
    x = scorer.preprocess(cut.astype(jnp.float32))
    logits = scorer.apply(with_trained(params, trained), x)
    log_p = jax.nn.log_softmax(logits)

    # Photographs: the divergence from the first network's answers. If only the new class learns,
    # the other logits are still the first network's, which saves a forward pass.
    old = scorer.apply(teacher, x[:n]) if recipe.others else logits[:n, :-1]
    wanted = jax.lax.stop_gradient(jax.nn.log_softmax(old))
    photographs, evolved = log_p[:n], log_p[n:]
    divergence = jnp.sum(jnp.exp(wanted) * (wanted - photographs[:, :-1]))

    # Evolved pictures: the cross-entropy with the new class, which is the last one.
    cross_entropy = -jnp.sum(evolved[:, -1])
    log = FinetuneLog(
        divergence=divergence,
        cross_entropy=cross_entropy,
        agreement=jnp.sum(photographs.argmax(axis=1) == wanted.argmax(axis=1)),
        caught=jnp.sum(evolved.argmax(axis=1) == evolved.shape[1] - 1),
    )
    return recipe.distillation * divergence + cross_entropy, log


def train_steps(
    state: FinetuneState,
    params: PyTree[Array],
    teacher: PyTree[Array],
    images: UInt8[Array, "steps 2 n height width channels"],
    *,
    scorer: Scorer,
    recipe: FinetuneRecipe,
    shards: int = 1,
) -> tuple[FinetuneState, FinetuneLog]:
    """Train one step per batch, on one device or on this device's share under `shard_map`.

    Gradients are summed over chunks, so memory does not grow with the batch. The chunks are summed
    in their order in the batch, so that the number of devices changes no bit.

    Args:
      state: State before the first of these steps.
      params: Parameters of the network with its new class, as in `loss`.
      teacher: Parameters of the first network, as in `loss`.
      images: This device's share of each step's photographs and evolved pictures, from
        `shares_of_batches`.
      scorer: Facts of the first network.
      recipe: Settings of the training.
      shards: Number of devices.

    Returns:
      The state after the last step, and the log with one entry per step.
    """
    optimiser = make_optimiser(recipe)
    head = head_of(params, classes=len(scorer.class_names) + 1)
    high, wide = sides_of(scorer.input_size)
    room = (images.shape[3] - high, images.shape[4] - wide)
    chunk, n = chunk_of(recipe), recipe.half
    rows = rows_of_shares(recipe, shards)

    def in_chunks(a: Array) -> Array:
        return a.reshape(2, -1, chunk, *a.shape[2:]).swapaxes(0, 1)

    def step(state: FinetuneState, images: Array) -> tuple[FinetuneState, FinetuneLog]:
        # 1. Draw the crops of the whole batch on every device, so that the number of devices does
        # not change them, and take this device's share.
        places = random_places(jax.random.fold_in(state.key, state.step), n, room=room)
        here = jax.lax.axis_index(AXIS) if shards > 1 else 0
        places = jax.tree.map(lambda a: a[:, jnp.asarray(rows)[here]], places)

        # 2. Sum the gradient and the log over chunks: in each turn, one chunk per device.
        chunks = jax.tree.map(in_chunks, (images, places))

        def add(turn: Array, total: PyTree) -> PyTree:
            found = jax.grad(loss, has_aux=True)(
                state.trained,
                params,
                teacher,
                *jax.tree.map(lambda a: a[turn], chunks),
                scorer=scorer,
                recipe=recipe,
            )
            # Fused with the sum, gradients might be rounded in another way.
            found = jax.lax.optimization_barrier(found)
            if shards == 1:
                return jax.tree.map(lambda t, a: t + a, total, found)
            found = jax.lax.all_gather(found, AXIS)
            for i in range(shards):
                held = (turn * shards + i) * chunk < n
                total = jax.tree.map(
                    lambda t, a, i=i, held=held: jnp.where(held, t + a[i], t), total, found
                )
            return total

        nothing = (
            jax.tree.map(jnp.zeros_like, state.trained),
            FinetuneLog(*jnp.zeros(4, jnp.float32)),
        )
        # XLA must not see how many turns there are: it would dissolve a loop of one turn, and
        # round in another way.
        turns = jax.lax.optimization_barrier(jnp.int32(turns_of(recipe, shards)))
        total = jax.lax.fori_loop(0, turns, add, nothing)
        gradient, log = jax.tree.map(lambda a: a / n, total)

        # 3. Step. Only the new class, the last column of the head, moves at the full rate.
        updates, memory = optimiser.update(gradient, state.optimiser, state.trained)
        updates = {
            name: recipe.others * a if name not in head else a.at[..., :-1].multiply(recipe.others)
            for name, a in updates.items()
        }
        trained = optax.apply_updates(state.trained, updates)
        return FinetuneState(trained, memory, state.step + 1, state.key), log

    return jax.lax.scan(step, state, images)


def compile_steps(scorer: Scorer, recipe: FinetuneRecipe, mesh: Mesh) -> Callable:
    """Compile `train_steps` over a mesh: `(state, params, teacher, images) -> (state, log)`.

    The images come from `shares_of_batches`.
    """
    shards = mesh.devices.size
    everywhere, split = PartitionSpec(), PartitionSpec(None, None, AXIS)

    def steps(state, params, teacher, images):  # type: ignore[no-untyped-def]
        return train_steps(
            state, params, teacher, images, scorer=scorer, recipe=recipe, shards=shards
        )

    return jax.jit(
        jax.shard_map(
            steps,
            mesh=mesh,
            in_specs=(everywhere, everywhere, everywhere, split),
            out_specs=everywhere,
            check_vma=False,
        ),
        donate_argnums=0,
    )
