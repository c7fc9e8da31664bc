"""Settings of the CPPN encoding."""

import dataclasses
from typing import Literal, get_args

from qd_fool.encodings.cppn.activations import ACTIVATIONS
from qd_fool.encodings.cppn.graph import INPUTS
from qd_fool.encodings.cppn.mutation import GraphRates
from qd_fool.errors import UserError, check_range

Coords = Literal["raw", "normalized"]


MOST = 1000
"""Nodes or edges that a genome may have room for: a sort key holds their numbers in ten bits.
Mutations an offspring, too: more is hardly meant."""


@dataclasses.dataclass(frozen=True)
class CppnSettings(GraphRates):
    """Settings of the CPPN encoding, and the rates of its mutations.

    Attributes:
      coords: "raw", columns and rows as numbers 0, 1, 2, ... as in the original code;
        "normalized", from -coords_scale to coords_scale.
      coords_scale: the factor of normalised coordinates. The distance from the centre is 0 to
        sqrt(2) either way.
      activations: those that nodes draw from, separated by commas. The Innovation Engine's
        no-sine set is tanh,sigmoid,gaussian,linear.
      color: what the outputs are: gray, hls, hsv or rgb; None for the original's, gray or hls.
      max_nodes: room for nodes in a genome, inputs and outputs included.
      max_edges: room for edges.
      mutations: how many times an offspring is mutated, at least.
      most_mutations: at most; each number between is as likely. No more than `mutations` if less.
      crossover_rate: probability that an offspring takes outputs of a second parent, too; the
        original has none.
      zoom: probability that an offspring is drawn at another scale; the original has none.
    """

    coords: str = "raw"
    coords_scale: float = 8.0
    activations: str = "sine,sigmoid,gaussian,linear"
    color: str | None = None
    max_nodes: int = 64
    max_edges: int = 160
    mutations: int = 1
    most_mutations: int = 1
    crossover_rate: float = 0.0
    zoom: float = 0.0

    def __post_init__(self) -> None:
        if self.coords not in get_args(Coords):
            raise UserError(
                f"coords is {self.coords!r}: expected one of {', '.join(get_args(Coords))}"
            )
        check_range(self, "coords_scale", above=0, most=1_000_000)
        drawn = activation_names(self.activations)
        unknown = [name for name in drawn if name not in ACTIVATIONS]
        if unknown or not drawn:
            raise UserError(
                f"activations is {self.activations!r}: expected some of "
                f"{', '.join(ACTIVATIONS)}, separated by commas"
            )
        if len(set(drawn)) < len(drawn):
            raise UserError(f"activations is {self.activations!r}: expected each at most once")
        check_range(self, "max_nodes", least=INPUTS + 1, most=MOST)
        check_range(self, "max_edges", least=INPUTS, most=MOST)
        check_range(self, "mutations", "most_mutations", least=1, most=MOST)
        if self.crossover_rate > 0 and self.max_edges > MOST // 2:
            raise UserError(
                f"max_edges is {self.max_edges}: with crossover, where edges of two parents are "
                f"sorted together, expected {MOST // 2} or fewer"
            )
        rates = [field.name for field in dataclasses.fields(GraphRates) if field.name != "eta"]
        check_range(self, *rates, "crossover_rate", "zoom", least=0, most=1)
        check_range(self, "eta", least=0)


def activation_names(activations: str) -> list[str]:
    """The names in a list separated by commas."""
    return [name.strip() for name in activations.split(",") if name.strip()]
