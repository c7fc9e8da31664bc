"""The settings that decide the outcome of a run, and numbers that follow from them."""

import dataclasses
from typing import get_args

import numpy as np
from jaxtyping import Int

from qd_fool.choices import ArchiveRule
from qd_fool.emitters.base import Emitter
from qd_fool.emitters.shares import Share, chunk_emitters
from qd_fool.emitters.table import EMITTERS
from qd_fool.emitters.variation_settings import VariationSettings
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError, check_range
from qd_fool.models.network import Network


@dataclasses.dataclass(frozen=True)
class MapElitesConfig:
    """The settings that decide the outcome of a run, with the seed, the encoding and the network.

    Attributes:
      batch_size: Offspring per generation, and random individuals of generation 0.
      archive_rule: "all": every individual competes in every cell. "argmax": an individual competes
        only in the cell of the class that it scores highest in.
      crops: Crops per picture, 1 or 10.
      chunk: Pictures scored at once. This is part of the configuration, because XLA's results
        differ in their last bits between sizes.
      emitters: Emitters that make the offspring, and how they share a batch, in whole chunks.
    """

    batch_size: int = 200
    archive_rule: str = "all"
    crops: int = 1
    chunk: int = 50
    emitters: tuple[Share, ...] = (Share("variation", 1.0, VariationSettings()),)

    def __post_init__(self) -> None:
        check_range(self, "batch_size", "chunk", least=1)
        if self.archive_rule not in get_args(ArchiveRule):
            raise UserError(
                f"archive rule is {self.archive_rule!r}: expected one of "
                + ", ".join(get_args(ArchiveRule))
            )
        missing = set(range(len(self.emitters))) - set(emitter_table(self).tolist())
        for index in sorted(missing):
            name, chunks = self.emitters[index].name, len(emitter_table(self))
            raise UserError(
                f"emitter {name}: its share of {chunks} chunks of {self.chunk} is less than one: "
                "expected a larger share, a larger batch or a smaller chunk"
            )


def emitter_table(config: MapElitesConfig) -> Int[np.ndarray, " chunks"]:
    """Return the index of the emitter that fills each chunk of the batch."""
    return chunk_emitters(config.emitters, -(-config.batch_size // config.chunk))


def offspring_of(config: MapElitesConfig) -> list[int]:
    """Count each emitter's offspring per generation; the last chunk may be smaller."""
    if len(config.emitters) == 1:
        return [config.batch_size]
    individuals = np.repeat(emitter_table(config), config.chunk)[: config.batch_size]
    return np.bincount(individuals, minlength=len(config.emitters)).tolist()


def counted_evaluations(config: MapElitesConfig, generation: int, *, encoding: Encoding) -> int:
    """Count the evaluations from the start of a run to the end of a generation; 0 is the first.

    A gradient step counts as several evaluations: the emitter states the number.
    """
    emitters = build_emitters(config, encoding)
    costs = [e.evaluations for e in emitters]
    each = sum(n * cost for n, cost in zip(offspring_of(config), costs, strict=True))
    return config.batch_size + generation * each


def generations_for(config: MapElitesConfig, evaluations: int, *, encoding: Encoding) -> int:
    """Count the generations after the first that fit into a number of evaluations; at least 1."""
    first = counted_evaluations(config, 0, encoding=encoding)
    each = counted_evaluations(config, 1, encoding=encoding) - first
    return max(1, (evaluations - first) // each)


def build_emitters(
    config: MapElitesConfig, encoding: Encoding, *, scorer: Network | None = None
) -> list[Emitter]:
    """Build the emitters of a run, in order; without a scorer they cannot improve offspring."""
    return [
        EMITTERS[share.name].build(share.settings, encoding, scorer, config.crops)
        for share in config.emitters
    ]
