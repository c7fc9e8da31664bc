"""The settings that decide the outcome of a run, and numbers that follow from them."""

import dataclasses
from typing import get_args

import numpy as np
from jaxtyping import Int

from qd_fool.choices import ArchiveRule, ShareRule
from qd_fool.emitters.base import Emitter
from qd_fool.emitters.operator_settings import OperatorSettings
from qd_fool.emitters.shares import Share, chunk_emitters
from qd_fool.emitters.table import EMITTERS
from qd_fool.emitters.variation_settings import VariationSettings
from qd_fool.encodings import Encoding
from qd_fool.errors import UserError, check_range
from qd_fool.map_elites.feedback import MOST_EMITTERS
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
      shares: "fixed": each batch is divided as `emitters` says. "adaptive": it is divided by the
        confidence that each emitter's offspring added lately per counted evaluation, and the
        shares in `emitters` are weights.
      tune_after: Part of the run, 0 to 1, after which emitters with a step size join adaptive
        shares. A tuned elite is hard to beat, so that other emitters find less from then on.
    """

    batch_size: int = 200
    archive_rule: str = "all"
    crops: int = 1
    chunk: int = 50
    emitters: tuple[Share, ...] = (Share("variation", 1.0, VariationSettings()),)
    shares: str = "fixed"
    tune_after: float = 0.0

    def __post_init__(self) -> None:
        check_range(self, "batch_size", "chunk", least=1)
        check_range(self, "tune_after", least=0, most=1)
        if self.archive_rule not in get_args(ArchiveRule):
            raise UserError(
                f"archive rule is {self.archive_rule!r}: expected one of "
                + ", ".join(get_args(ArchiveRule))
            )
        if self.shares not in get_args(ShareRule):
            raise UserError(
                f"shares is {self.shares!r}: expected one of {', '.join(get_args(ShareRule))}"
            )
        if len(self.emitters) > MOST_EMITTERS:
            raise UserError(
                f"{len(self.emitters)} emitters: expected at most {MOST_EMITTERS} in one run"
            )
        if self.shares == "adaptive":
            return  # any number of chunks will do: shares hold on average
        missing = set(range(len(self.emitters))) - set(emitter_table(self).tolist())
        for index in sorted(missing):
            name, chunks = self.emitters[index].name, len(emitter_table(self))
            raise UserError(
                f"emitter {name}: its share of {chunks} chunks of {self.chunk} is less than one: "
                "expected a larger share, a larger batch or a smaller chunk"
            )

    @property
    def tuning(self) -> tuple[bool, ...]:
        """`(emitters,)` whether each emitter has a step size."""
        return tuple(isinstance(share.settings, OperatorSettings) for share in self.emitters)

    @property
    def feedback(self) -> bool:
        """Whether the run learns from its offspring: adaptive shares, or step sizes."""
        return any(self.tuning) or self.shares == "adaptive"


def emitter_table(config: MapElitesConfig) -> Int[np.ndarray, " chunks"]:
    """Return the index of the emitter that fills each chunk of the batch."""
    return chunk_emitters(config.emitters, -(-config.batch_size // config.chunk))


def build_emitters(
    config: MapElitesConfig, encoding: Encoding, *, scorer: Network | None = None
) -> list[Emitter]:
    """Build the emitters of a run, in order; without a scorer they cannot improve offspring."""
    return [
        EMITTERS[share.name].build(share.settings, encoding, scorer, config.crops)
        for share in config.emitters
    ]
