"""Teaching a trained network a class more, near to its old answers; pure functions over optax.

The new class learns from evolved pictures by cross-entropy; what the network says of photographs
is held by distillation (Hinton et al., 2015; for new classes Li & Hoiem, 2016, "Learning without
forgetting"): the divergence of its answers from those of the first network on the same crops, which
gives the new class nothing.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import no_type_check

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Bool, Float, Int, Key, PyTree, UInt8

from qd_fool.devices.mesh import AXIS
from qd_fool.models.retrained import head_of, map_named, name_leaves
from qd_fool.models.scorer import Scorer
from qd_fool.scoring.crops import crop


@dataclasses.dataclass(frozen=True)
class FinetuneRecipe:
    """How a class is taught.

    Attributes:
      steps: of gradient descent.
      batch_size: pictures a step: half photographs, half evolved.
      learning_rate: of Adam at first; it falls to 0 along a cosine.
      distillation: weight of the divergence on photographs against the cross-entropy on evolved
        pictures, each a mean.
      chunk: pictures that go through the network at once, at most about; bounds memory.
      others: rate of all that learns besides the new class's own numbers in the last layer, as a
        share of theirs; with 0 all other logits stay what they were.
    """

    steps: int
    batch_size: int = 40
    learning_rate: float = 1e-3
    distillation: float = 1.0
    chunk: int = 4
    others: float = 1.0

    @property
    def half(self) -> int:
        """Photographs a step, and as many evolved pictures."""
        return max(1, self.batch_size // 2)


@no_type_check  # leaves are JAX arrays, NumPy arrays on the host, or tracers
@flax.struct.dataclass
class FinetuneState:
    """Training between two steps.

    Attributes:
      trained: the arrays that learn, by name.
      optimiser: optax's state.
      step: steps done.
      key: of crops and mirrors.
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
      divergence: of the answers on photographs from the first network's, in nats.
      cross_entropy: of evolved pictures, in nats.
      agreement: share of photographs with the first network's own first choice.
      caught: share of evolved pictures whose first choice is the new class.
    """

    divergence: Float[Array, ""]
    cross_entropy: Float[Array, ""]
    agreement: Float[Array, ""]
    caught: Float[Array, ""]


Places = tuple[Int[Array, "2 n"], Int[Array, "2 n"], Bool[Array, "2 n"]]
"""Tops, lefts and mirrors of the crops of n photographs and n evolved pictures."""


def make_optimiser(recipe: FinetuneRecipe) -> optax.GradientTransformation:
    """Adam, its rate falling along a cosine."""
    return optax.adam(optax.cosine_decay_schedule(recipe.learning_rate, recipe.steps))


def init_finetune(
    params: PyTree[Array], learns: Callable[[str], bool], recipe: FinetuneRecipe, *, seed: int
) -> FinetuneState:
    """Before the first step.

    Args:
      params: of the network with its new class.
      learns: whether the array of a name does.
      recipe: for the optimiser.
      seed: of crops and mirrors.
    """
    # Copies, since compiled steps take the state's arrays for their results.
    trained = {name: jnp.array(a) for name, a in name_leaves(params).items() if learns(name)}
    optimiser = make_optimiser(recipe).init(trained)
    return FinetuneState(trained, optimiser, jnp.int32(0), jax.random.key(seed))


def with_trained(params: PyTree[Array], trained: dict[str, Array]) -> PyTree[Array]:
    """Parameters with the arrays that have learnt in their places."""
    return map_named(lambda name, leaf: trained.get(name, leaf), params)


def random_places(key: Key[Array, ""], n: int, *, room: tuple[int, int]) -> Places:
    """Where crops of n photographs and n evolved pictures are cut: anywhere, half of them mirrored.

    Args:
      key: of this step.
      n: pictures of each kind.
      room: rows and columns that a picture has more than the network's input.
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
    """The sum over n photographs and n evolved pictures, and sums for the log.

    Args:
      trained: the arrays that learn.
      params: of the network with its new class; those that learn are not looked at.
      teacher: of the first network.
      images: photographs, then evolved pictures.
      places: of their crops.
      scorer: the first network's facts.
      recipe: how.
    """
    n = images.shape[1]
    flat, where = jax.tree.map(lambda a: a.reshape(2 * n, *a.shape[2:]), (images, places))
    cut = jax.vmap(lambda x, place: crop(x[None], place, size=scorer.input_size)[0])(flat, where)
    x = scorer.preprocess(cut.astype(jnp.float32))
    logits = scorer.apply(with_trained(params, trained), x)
    log_p = jax.nn.log_softmax(logits)
    # Where only the new class learns, the other logits still are the first network's.
    old = scorer.apply(teacher, x[:n]) if recipe.others else logits[:n, :-1]
    wanted = jax.lax.stop_gradient(jax.nn.log_softmax(old))
    photographs, evolved = log_p[:n], log_p[n:]
    divergence = jnp.sum(jnp.exp(wanted) * (wanted - photographs[:, :-1]))
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
    """A step a batch; on each of `shards` devices under `shard_map` over pictures, or on one.

    Gradients are summed over chunks, so memory does not grow with the batch.

    Args:
      state: before.
      params: as in `loss`.
      teacher: likewise.
      images: this device's part of each step's n photographs and n evolved pictures.
      scorer: the first network's facts.
      recipe: how.
      shards: devices.

    Returns:
      The state, and the log with an entry a step.
    """
    optimiser = make_optimiser(recipe)
    head = head_of(params, classes=len(scorer.class_names) + 1)
    n = images.shape[2]
    room = (images.shape[3] - scorer.input_size, images.shape[4] - scorer.input_size)
    chunk = max(c for c in range(1, n + 1) if n % c == 0 and c <= max(1, recipe.chunk // 2))

    def in_chunks(a: Array) -> Array:
        return a.reshape(2, n // chunk, chunk, *a.shape[2:]).swapaxes(0, 1)

    def step(state: FinetuneState, images: Array) -> tuple[FinetuneState, FinetuneLog]:
        places = random_places(jax.random.fold_in(state.key, state.step), n * shards, room=room)
        if shards > 1:
            start = jax.lax.axis_index(AXIS) * n
            places = jax.tree.map(
                lambda a: jax.lax.dynamic_slice_in_dim(a, start, n, axis=1), places
            )

        def add(total: PyTree, part: tuple) -> tuple[PyTree, None]:
            gradient, log = jax.grad(loss, has_aux=True)(
                state.trained,
                params,
                teacher,
                *part,
                scorer=scorer,
                recipe=recipe,
            )
            return jax.tree.map(lambda t, a: t + a, total, (gradient, log)), None

        nothing = (
            jax.tree.map(jnp.zeros_like, state.trained),
            FinetuneLog(*jnp.zeros(4, jnp.float32)),
        )
        total, _ = jax.lax.scan(add, nothing, jax.tree.map(in_chunks, (images, places)))
        if shards > 1:
            total = jax.lax.psum(total, AXIS)
        gradient, log = jax.tree.map(lambda a: a / (n * shards), total)
        updates, memory = optimiser.update(gradient, state.optimiser, state.trained)
        updates = {
            name: recipe.others * a if name not in head else a.at[..., :-1].multiply(recipe.others)
            for name, a in updates.items()
        }
        trained = optax.apply_updates(state.trained, updates)
        return FinetuneState(trained, memory, state.step + 1, state.key), log

    return jax.lax.scan(step, state, images)


def compile_steps(scorer: Scorer, recipe: FinetuneRecipe, mesh: Mesh) -> Callable:
    """`train_steps` compiled over a mesh: `(state, params, teacher, images) -> (state, log)`."""
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


def batches(
    photographs: UInt8[np.ndarray, "photographs height width channels"],
    evolved: UInt8[np.ndarray, "evolved height width channels"],
    recipe: FinetuneRecipe,
    *,
    steps: int,
    seed: int,
) -> Iterator[UInt8[np.ndarray, "steps 2 half height width channels"]]:
    """All steps' batches, `steps` of them at a time; each kind shuffled anew when it is used up.

    The last ones may be fewer.
    """
    rng = np.random.default_rng(seed)

    def shuffled(count: int) -> np.ndarray:
        total = recipe.steps * recipe.half
        rounds = [rng.permutation(count) for _ in range(-(-total // count))]
        return np.concatenate(rounds)[:total].reshape(recipe.steps, recipe.half)

    chosen = [(pictures, shuffled(len(pictures))) for pictures in (photographs, evolved)]
    for start in range(0, recipe.steps, steps):
        yield np.stack(
            [pictures[order[start : start + steps]] for pictures, order in chosen], axis=1
        )
