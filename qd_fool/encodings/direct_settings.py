"""Settings of the direct encoding. This module imports no JAX."""

import dataclasses
from typing import Literal, get_args

from qd_fool.choices import Color
from qd_fool.errors import UserError, check_range
from qd_fool.registry import setting

Genes = Literal["int", "float"]


@dataclasses.dataclass(frozen=True)
class DirectSettings:
    """Settings of the direct encoding.

    Attributes:
      genes: Genes of the direct encoding: 8-bit integers (the paper) or floats in 0..1, cut to
        bytes when they are drawn (the original code).
      mutation_rate: Probability that a gene of the direct encoding mutates, halved every 1000
        generations.
      eta: Distribution index of polynomial mutation ("mutation strength" in the paper).
      crossover_rate: Probability of simulated binary crossover of pixels with a second elite (the
        original code: 0.5, which the paper does not mention).
      crossover_eta: Distribution index of the crossover (the original code: 10).
      color: Meaning of genes: gray, hls, hsv or rgb. None means the original's gray or hls,
        depending on the network.
    """

    genes: str = setting("int", flag="genes", choices=Genes)
    mutation_rate: float = setting(0.1, flag="mutation_rate")
    eta: float = 15.0
    crossover_rate: float = setting(0.0, flag="crossover_rate", shared=True)
    crossover_eta: float = 10.0
    color: str | None = setting(None, flag="color", shared=True, choices=Color)

    def __post_init__(self) -> None:
        if self.genes not in get_args(Genes):
            raise UserError(
                f"genes is {self.genes!r}: expected one of {', '.join(get_args(Genes))}"
            )
        check_range(self, "mutation_rate", "crossover_rate", least=0, most=1)
        check_range(self, "eta", "crossover_eta", least=0, owner="direct")
