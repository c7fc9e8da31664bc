"""Many generations against a network that runs on the host: ask, host, tell.

A `HostSegment` is called as a compiled segment is, and returns the same state and log. So archive,
lineage, checkpoints and page do not know which of the two ran.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from qd_fool.archive import Offspring
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError
from qd_fool.map_elites.config import MapElitesConfig, build_emitters
from qd_fool.map_elites.division import batch_division
from qd_fool.map_elites.generation import ask
from qd_fool.map_elites.generation_end import tell
from qd_fool.map_elites.host_climb import make_climb
from qd_fool.map_elites.state import EvolutionState, GenerationLog
from qd_fool.models.network import Network, has_gradient
from qd_fool.scoring.host import HostScoring, Shown


class Unfinished(Exception):
    """The network failed in the middle of a segment. Whole generations are not lost.

    Attributes:
      state: The run after the last whole generation.
      log: Rows of the whole generations of the segment; None if there are none.
      generations: Number of these rows.
      cause: The error of the network.
    """

    def __init__(self, state: EvolutionState, logs: list[GenerationLog], cause: UserError) -> None:
        super().__init__(str(cause))
        self.state, self.cause = state, cause
        self.log, self.generations = _stacked(logs) if logs else None, len(logs)


class HostSegment:
    """Generations in which JAX makes and draws offspring, and the host asks the network.

    A chunk is drawn in the background while the network works on the one before. JAX uses one
    device. Each function is compiled once per run, because all chunks have the same shape.
    """

    def __init__(
        self,
        scorer: Network,
        encoding: Encoding,
        config: MapElitesConfig,
        *,
        device: jax.Device,
        log_offspring: bool = False,
    ) -> None:
        """Prepare the parts. They are compiled at their first call, or by `compile`.

        Args:
          scorer: The network's facts.
          encoding: Encoding of the genomes.
          config: Settings of the run.
          device: Device that makes and draws offspring.
          log_offspring: Whether the log holds all offspring.

        Raises:
          UserError: An emitter needs a gradient, and the network has none.
        """
        self._config, self._device = config, device
        self._scoring = HostScoring(scorer, crops=config.crops)
        self._climbs = _climbs(scorer, encoding, config, self._scoring)
        self._divide = jax.jit(lambda state: batch_division(state, config=config)[0])
        chunk = config.chunk

        def make(state: EvolutionState, place: Array) -> Offspring:
            indices = place * chunk + jnp.arange(chunk, dtype=jnp.int32)
            return ask(state, indices, encoding=encoding, config=config)

        def draw(genomes: PyTree[Array]) -> Shown:
            return self._scoring.show(encoding.render(genomes))

        # One call per chunk, where no emitter climbs in between.
        def make_and_draw(state: EvolutionState, place: Array) -> tuple[Offspring, Shown]:
            offspring = make(state, place)
            return offspring, draw(offspring.genomes)

        def end(
            state: EvolutionState, chunks: list[Offspring], scores: Array
        ) -> tuple[EvolutionState, GenerationLog]:
            offspring = jax.tree.map(lambda *parts: jnp.concatenate(parts), *chunks)
            return tell(
                state,
                offspring,
                scores,
                encoding=encoding,
                config=config,
                log_offspring=log_offspring,
            )

        self._make, self._draw = jax.jit(make), jax.jit(draw)
        self._make_and_draw = jax.jit(make_and_draw)
        self._end: Any = jax.jit(end, donate_argnums=0)
        self.counts = [
            min(chunk, config.batch_size - start) for start in range(0, config.batch_size, chunk)
        ]

    def compile(self, state: EvolutionState) -> None:
        """Compile the functions of a generation, without a call of the network.

        Args:
          state: Any state of the run, which stays as it is.
        """
        state = jax.device_put(state, self._device)
        if any(self._climbs):
            offspring = self._make(state, np.int32(0))
            shown = self._draw(offspring.genomes)
        else:
            offspring, shown = self._make_and_draw(state, np.int32(0))
        jax.block_until_ready(shown)
        cells = state.archive.fitness.shape[0]
        scores = np.zeros((len(self.counts) * self._config.chunk, cells), np.float32)
        self._end = self._end.lower(state, [offspring] * len(self.counts), scores).compile()

    def __call__(
        self, state: EvolutionState, params: PyTree[Array], generations: Any
    ) -> tuple[EvolutionState, GenerationLog]:
        """Run generations.

        Args:
          state: The run, which is donated.
          params: Parameters of those of several networks that run in JAX.
          generations: Number of generations.

        Returns:
          The run after them, and one row of the log per generation.

        Raises:
          Unfinished: The network failed.
        """
        state = jax.device_put(state, self._device)
        params = jax.device_put(params, self._device)
        logs: list[GenerationLog] = []
        for _ in range(int(generations)):
            try:
                # At the end, the elites are scored once more.
                cells = state.archive.fitness.shape[0]
                self._scoring.check(len(self.counts), cells, chunk=self._config.chunk)
                chunks, scores = self._scored(state, params)
            except UserError as error:
                raise Unfinished(state, logs, error) from error
            state, log = self._end(state, chunks, scores)
            logs.append(jax.device_get(log))
        return state, _stacked(logs)

    def _scored(
        self, state: EvolutionState, params: PyTree[Array]
    ) -> tuple[list[Offspring], np.ndarray]:
        """The offspring of a generation in chunks, and the log-odds of all of them."""
        chunks: list[Offspring] = []

        def draw(i: int) -> Shown:
            offspring, shown = self._made_and_drawn(state, i, params)
            chunks.append(offspring)
            return shown

        scores = self._scoring.score_chunks(params, draw, self.counts)
        return chunks, scores

    def _made_and_drawn(
        self, state: EvolutionState, i: int, params: PyTree[Array]
    ) -> tuple[Offspring, Shown]:
        """The offspring of a chunk, and the pictures that the network sees."""
        if not any(self._climbs):
            return self._make_and_draw(state, np.int32(i))
        offspring = self._make(state, np.int32(i))
        climb = self._climbs[int(self._divide(state)[i])]
        if climb is not None and int(state.generation):  # the first ones are random
            genomes = climb(params, offspring.genomes, offspring.parent_class, self.counts[i])
            offspring = dataclasses.replace(offspring, genomes=genomes)
        return offspring, self._draw(offspring.genomes)


def _climbs(
    scorer: Network, encoding: Encoding, config: MapElitesConfig, scoring: HostScoring
) -> list[Any]:
    """The function that improves the offspring of each emitter, or None."""
    made: list[Any] = []
    for share, emitter in zip(
        config.emitters, build_emitters(config, encoding, scorer=scorer), strict=True
    ):
        if emitter.improve is None:
            made.append(None)
            continue
        if not has_gradient(scorer):
            raise UserError(
                f"emitter {share.name} needs the network's gradient, and {scorer.name} has none: "
                "expected other emitters, such as variation"
            )
        if emitter.climb is None:
            raise UserError(
                f"emitter {share.name} works only in JAX, and {scorer.name} runs outside it: "
                "expected other emitters, such as variation"
            )
        made.append(make_climb(emitter.climb, scoring))
    return made


def _stacked(logs: list[GenerationLog]) -> GenerationLog:
    return jax.tree.map(lambda *rows: np.stack(rows), *logs)
