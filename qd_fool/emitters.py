"""Where offspring come from: the seam, the table of emitters, and how they share a batch.

The paper's way is `variation`: parents drawn evenly over the cells, then the encoding's mutation.
`gradient` climbs from an elite toward its cell's class, through the same evaluation kernel. Every
offspring competes in every cell, whoever made it.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from qd_fool.archive import ClassArchive
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.kernel import log_odds
from qd_fool.models.scorer import Scorer
from qd_fool.registry import Registry

Parents = Literal["uniform", "young", "weak", "strong"]
STEP_EVALUATIONS = 4
"""Evaluations that a gradient step counts as: forward and backward were measured at 3.9 forwards
on CPU; `benchmarks/ascent_speed.py` measures it again."""


@dataclasses.dataclass(frozen=True)
class Emitter:
    """A source of offspring, as pure functions over batches.

    Attributes:
      evaluations: what an offspring counts as, in pictures that the network sees; its own score is
        one of them.
      choose: `keys (n,), archive, rank (n,) -> cells (n, 2)` of parents and mates; `rank` counts
        this emitter's offspring since the run began.
      emit: `keys (n,), parents, mates, generation -> genomes`.
      improve: `params, genomes (n, ...), classes (n,) -> genomes`, what needs the network, for the
        classes of the parents' cells. None where nothing does.
    """

    evaluations: int
    choose: Callable[[Key[Array, " n"], ClassArchive, Int[Array, " n"]], Int[Array, "n 2"]]
    emit: Callable[[Key[Array, " n"], PyTree[Array], PyTree[Array], Array], PyTree[Array]]
    improve: Callable[[PyTree[Array], PyTree[Array], Int[Array, " n"]], PyTree[Array]] | None = None


EmitterBuilder = Callable[[Any, Encoding, Scorer | None, int], Emitter]


@dataclasses.dataclass(frozen=True)
class EmitterEntry:
    """What is registered under a name.

    Attributes:
      settings: a frozen dataclass with a default for each field, which refuses bad values.
      build: `settings, encoding, scorer, crops -> Emitter`. Without a scorer nothing is improved.
    """

    settings: type[Any]
    build: EmitterBuilder


EMITTERS: Registry[EmitterEntry] = Registry("emitter")


def register_emitter(
    name: str, *, settings: type[Any]
) -> Callable[[EmitterBuilder], EmitterBuilder]:
    """A decorator that enters a builder, with its dataclass of settings, under `name`."""

    def enter(build: EmitterBuilder) -> EmitterBuilder:
        EMITTERS.register(name)(EmitterEntry(settings, build))
        return build

    return enter


@dataclasses.dataclass(frozen=True)
class Share:
    """An emitter's part of each batch.

    Attributes:
      name: as registered.
      share: relative to the others' shares, above 0.
      settings: an instance of the entry's `settings`.
    """

    name: str
    share: float
    settings: Any

    def __post_init__(self) -> None:
        wanted = EMITTERS[self.name].settings
        if not isinstance(self.settings, wanted):
            raise UserError(f"emitter {self.name}: expected {wanted.__name__} as its settings")
        if not 0.0 < self.share < np.inf:
            raise UserError(f"emitter {self.name}: its share is {self.share}, expected above 0")


def chunk_emitters(shares: Sequence[Share], chunks: int) -> Int[np.ndarray, " chunks"]:
    """Which emitter fills which chunk of a batch: whole chunks, mixed as evenly as can be.

    Each chunk goes to whoever is furthest behind its share, the first of equals. It does not depend
    on devices, each of which gets about the same mixture.

    Args:
      shares: of the emitters.
      chunks: of a batch.
    """
    if len(shares) == 1:
        return np.zeros(chunks, np.int32)
    parts = np.array([s.share for s in shares]) / sum(s.share for s in shares)
    # Rounded, so that equal shares are equally far behind whatever the last bits say.
    given = np.zeros(len(parts))
    order = np.zeros(chunks, np.int32)
    for chunk in range(chunks):
        order[chunk] = int(np.argmax(np.round(parts * (chunk + 1) - given, 9)))
        given[order[chunk]] += 1
    return order


@dataclasses.dataclass(frozen=True)
class VariationSettings:
    """Settings of the paper's emitter.

    Attributes:
      parents: "uniform", over the occupied cells (the original, map_elite.hpp:189-192), or the
        better of two drawn so: "young", born later; "weak", of less confidence; "strong", of more.
    """

    parents: str = "uniform"

    def __post_init__(self) -> None:
        if self.parents not in get_args(Parents):
            raise UserError(
                f"parents is {self.parents!r}: expected one of {', '.join(get_args(Parents))}"
            )


@register_emitter("variation", settings=VariationSettings)
def variation(
    settings: VariationSettings, encoding: Encoding, scorer: Scorer | None, crops: int
) -> Emitter:
    """The paper's: two cells drawn with replacement, then the encoding's own variation."""
    del scorer, crops

    def choose(
        keys: Key[Array, " n"], archive: ClassArchive, rank: Int[Array, " n"]
    ) -> Int[Array, "n 2"]:
        del rank
        cells = archive.fitness.shape[0]
        (order,) = jnp.nonzero(archive.occupied, size=cells, fill_value=0)
        count = jnp.maximum(jnp.sum(archive.occupied, dtype=jnp.int32), 1)

        def draw(key: Array) -> Int[Array, " 2"]:
            return order[jax.random.randint(key, (2,), 0, count, jnp.int32)].astype(jnp.int32)

        chosen = jax.vmap(draw)(keys)
        if settings.parents == "uniform":
            return chosen
        worth = {"young": archive.born, "weak": -archive.fitness, "strong": archive.fitness}
        value = worth[settings.parents]
        others = jax.vmap(lambda key: draw(jax.random.fold_in(key, 1)))(keys)[:, 0]
        wins = value[others] > value[chosen[:, 0]]
        return jnp.stack([jnp.where(wins, others, chosen[:, 0]), chosen[:, 1]], axis=1)

    return Emitter(1, choose, encoding.vary)


@dataclasses.dataclass(frozen=True)
class GradientSettings:
    """Settings of the gradient emitter.

    Attributes:
      steps: of Adam on the log-odds of the parent's class, each counted as four evaluations.
      rate: of learning, in units of the encoding's values (a grey level of 255, a CPPN's weight);
        None for the encoding's own.
      ceiling: cells of this confidence and more are passed over.
    """

    steps: int = 8
    rate: float | None = None
    ceiling: float = 0.9999

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise UserError(f"gradient-steps is {self.steps}: expected 1 or more")
        if self.rate is not None and not 0.0 < self.rate < np.inf:
            raise UserError(f"gradient-rate is {self.rate}: expected above 0")
        if not 0.0 < self.ceiling < 1.0:
            raise UserError(f"gradient-ceiling is {self.ceiling}: expected between 0 and 1")


@register_emitter("gradient", settings=GradientSettings)
def gradient(
    settings: GradientSettings, encoding: Encoding, scorer: Scorer | None, crops: int
) -> Emitter:
    """Elites climb toward the class of their cell: each cell below the ceiling in its turn.

    Nothing is drawn: an elite whose climb failed fails again, until another's offspring takes its
    cell. Variation beside it keeps archives moving.
    """
    if encoding.variables is None:
        raise UserError(f"the {encoding.name} encoding has nothing that a gradient could move")
    variables = encoding.variables
    ceiling = float(np.log(settings.ceiling) - np.log1p(-settings.ceiling))
    optimizer = optax.adam(settings.rate or variables.rate)

    def choose(
        keys: Key[Array, " n"], archive: ClassArchive, rank: Int[Array, " n"]
    ) -> Int[Array, "n 2"]:
        del keys
        cells = archive.fitness.shape[0]
        wanting = archive.occupied & (archive.fitness < ceiling)
        wanting = jnp.where(jnp.any(wanting), wanting, archive.occupied)
        (order,) = jnp.nonzero(wanting, size=cells, fill_value=0)
        count = jnp.maximum(jnp.sum(wanting, dtype=jnp.int32), 1)
        cell = order[rank % count].astype(jnp.int32)
        return jnp.stack([cell, cell], axis=1)

    def emit(
        keys: Key[Array, " n"], parents: PyTree[Array], mates: PyTree[Array], generation: Array
    ) -> PyTree[Array]:
        del keys, mates, generation
        return parents

    def improve(
        params: PyTree[Array], genomes: PyTree[Array], classes: Int[Array, " n"]
    ) -> PyTree[Array]:
        if scorer is None:
            raise ValueError("a gradient needs the network")
        size = variables.steps(genomes)

        def target(values: Float[Array, "n size"]) -> Float[Array, ""]:
            scores = log_odds(scorer, params, variables.draw(genomes, values), crops=crops)
            return jnp.sum(jnp.take_along_axis(scores, classes[:, None], axis=1))

        def climb(carry: tuple[Array, Any], _: None) -> tuple[tuple[Array, Any], None]:
            values, memory = carry
            slope = jnp.nan_to_num(jax.grad(target)(values), posinf=0.0, neginf=0.0)
            # In units of a value's own step, as the learning rate is.
            update, memory = optimizer.update(-slope * size, memory)
            moved = jnp.clip(values + update * size, variables.low, variables.high)
            return (moved, memory), None

        values = variables.take(genomes)
        (values, _), _ = jax.lax.scan(
            climb, (values, optimizer.init(values)), None, length=settings.steps
        )
        return variables.put(genomes, values)

    return Emitter(1 + STEP_EVALUATIONS * settings.steps, choose, emit, improve)
