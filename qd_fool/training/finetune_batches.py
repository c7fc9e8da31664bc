"""The recipe by which a network learns one more class, and its batches on the devices."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, Int, UInt8

from qd_fool.devices.mesh import split


@dataclasses.dataclass(frozen=True)
class FinetuneRecipe:
    """Settings of the training of one more class.

    Attributes:
      steps: Number of steps of gradient descent.
      batch_size: Pictures per step: one half photographs, the other half evolved pictures.
      learning_rate: Learning rate of Adam in the first step; it falls to 0 along a cosine.
      distillation: Weight of the divergence on photographs, relative to the cross-entropy on
        evolved pictures. Both are means.
      chunk: Pictures that go through the network at once, at most about; bounds memory.
      others: Learning rate of all other arrays, as a share of the rate of the new class's weights
        in the last layer. With 0, all other logits stay as they were.
    """

    steps: int
    batch_size: int = 40
    learning_rate: float = 1e-3
    distillation: float = 1.0
    chunk: int = 4
    others: float = 1.0

    @property
    def half(self) -> int:
        """Number of photographs per step, which is also the number of evolved pictures."""
        return max(1, self.batch_size // 2)


def batches(
    photographs: UInt8[np.ndarray, "photographs height width channels"],
    evolved: UInt8[np.ndarray, "evolved height width channels"],
    recipe: FinetuneRecipe,
    *,
    steps: int,
    seed: int,
) -> Iterator[UInt8[np.ndarray, "steps 2 half height width channels"]]:
    """Yield the batches of all steps, `steps` of them at a time; the last group may be smaller.

    Each kind of picture is shuffled again when all of its pictures have been used.

    Args:
      photographs: Photographs to draw from.
      evolved: Evolved pictures to draw from.
      recipe: Settings of the training.
      steps: Number of batches per group.
      seed: Seed of the order.
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


def chunk_of(recipe: FinetuneRecipe) -> int:
    """Return the number of photographs, and of evolved pictures, that a chunk holds.

    It is the largest divisor of half a batch within half of the recipe's chunk.
    """
    n, most = recipe.half, max(1, recipe.chunk // 2)
    return max(c for c in range(1, n + 1) if n % c == 0 and c <= most)


def turns_of(recipe: FinetuneRecipe, shards: int) -> int:
    """Return the number of chunks that each device works on in a step.

    Args:
      recipe: Settings of the training.
      shards: Number of devices.
    """
    return -(-recipe.half // (chunk_of(recipe) * shards))


def rows_of_shares(recipe: FinetuneRecipe, shards: int) -> Int[np.ndarray, "shards rows"]:
    """Return the places in half a batch of the pictures that each device gets.

    Devices take turns: in each turn, the next chunks, one per device. In the last turn, a device
    for which no chunk is left gets the first one, whose sums are dropped. The rows have room for
    two turns at least, also where one is run: XLA treats a single one in another way, and would
    round otherwise.

    Args:
      recipe: Settings of the training.
      shards: Number of devices.
    """
    chunk = chunk_of(recipe)
    chunks = recipe.half // chunk
    turns = max(2, turns_of(recipe, shards))
    taken = np.arange(turns * shards).reshape(turns, shards).T
    taken = np.where(taken < chunks, taken, 0)
    return (taken[..., None] * chunk + np.arange(chunk)).reshape(shards, turns * chunk)


def shares_of_batches(
    images: UInt8[np.ndarray, "steps 2 half height width channels"],
    recipe: FinetuneRecipe,
    mesh: Mesh,
) -> UInt8[Array, "steps 2 all height width channels"]:
    """Return the pictures of some steps on the devices of a mesh, each with its share."""
    rows = rows_of_shares(recipe, mesh.devices.size)
    return split(images[:, :, rows.reshape(-1)], mesh, axis=2)
