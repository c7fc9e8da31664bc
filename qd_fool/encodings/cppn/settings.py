"""Settings of the CPPN encoding. This module imports no JAX."""

import dataclasses
from typing import Literal, get_args

from qd_fool.choices import Color
from qd_fool.errors import UserError, check_range
from qd_fool.registry import setting

Coords = Literal["raw", "normalized"]


ACTIVATION_NAMES = ("sine", "sigmoid", "gaussian", "linear", "tanh")
"""Names of the functions that nodes may have, in the order of `activations.ACTIVATIONS`."""


INPUTS = 4
"""Number of inputs: column, row, distance from the centre, bias (phen_color_image.hpp:144-157)."""


MOST = 1000
"""Highest capacity of a genome in nodes or edges: a sort key holds their numbers in ten bits.
Also the highest number of mutations per offspring; a higher number is probably a mistake."""


@dataclasses.dataclass(frozen=True)
class GraphRates:
    """Probabilities of the steps of one mutation; the defaults are the original's.

    Attributes:
      weight: Probability per edge of a CPPN that its weight takes a polynomial step.
      activation: Probability per node of a CPPN that its function is drawn again.
      add_edge: Probability per CPPN that an edge is added.
      delete_edge: Probability per CPPN that an edge is deleted.
      add_node: Probability per CPPN that a node is added.
      delete_node: Probability per CPPN that a node is deleted.
      eta: Distribution index of the polynomial step of weights, in units of the whole range of 20.
    """

    weight: float = 0.1
    activation: float = 0.1
    add_edge: float = 0.5
    delete_edge: float = 0.3
    add_node: float = 0.5
    delete_node: float = 0.2
    eta: float = 15.0


@dataclasses.dataclass(frozen=True)
class CppnSettings(GraphRates):
    """Settings of the CPPN encoding, and the rates of its mutations.

    Attributes:
      coords: CPPN coordinates: raw columns and rows 0, 1, 2, ... (the original), or normalized to
        -scale..scale.
      coords_scale: Scale of normalized CPPN coordinates. The distance from the centre is 0 to
        sqrt(2) with either.
      activations: Functions of CPPN nodes, separated by commas; without sine:
        tanh,sigmoid,gaussian,linear (the Innovation Engine's).
      color: Meaning of a CPPN's outputs: gray, hls, hsv or rgb. None means the original's gray or
        hls, depending on the network.
      max_nodes: Capacity of a CPPN genome in nodes, including the four inputs and the outputs.
      max_edges: Capacity of a CPPN genome in edges. A mutation that would exceed this capacity is
        skipped and counted.
      mutations: Lowest number of mutations per CPPN offspring.
      most_mutations: Highest number of mutations per CPPN offspring; each number between is equally
        likely. A number below the lowest one means the lowest one.
      crossover_rate: Probability that a CPPN offspring takes whole outputs of a second elite (the
        original: none).
      zoom: Probability that a CPPN offspring is drawn coarser or finer, by up to a factor of two
        (the original: none).
    """

    coords: str = setting("raw", flag="coords", choices=Coords)
    coords_scale: float = setting(8.0, flag="coords_scale")
    activations: str = setting("sine,sigmoid,gaussian,linear", flag="activations")
    color: str | None = setting(None, flag="color", shared=True, choices=Color)
    max_nodes: int = setting(64, flag="max_nodes")
    max_edges: int = setting(160, flag="max_edges")
    mutations: int = setting(1, flag="mutations")
    most_mutations: int = setting(1, flag="most_mutations")
    crossover_rate: float = setting(0.0, flag="crossover_rate", shared=True)
    zoom: float = setting(0.0, flag="zoom")

    def __post_init__(self) -> None:
        if self.coords not in get_args(Coords):
            raise UserError(
                f"coords is {self.coords!r}: expected one of {', '.join(get_args(Coords))}"
            )
        check_range(self, "coords_scale", above=0, most=1_000_000)
        drawn = activation_names(self.activations)
        unknown = [name for name in drawn if name not in ACTIVATION_NAMES]
        if unknown or not drawn:
            raise UserError(
                f"activations is {self.activations!r}: expected some of "
                f"{', '.join(ACTIVATION_NAMES)}, separated by commas"
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
        rates = {field.name for field in dataclasses.fields(GraphRates)} - {"eta"}
        check_range(self, *sorted(rates), least=0, most=1, owner="cppn")
        check_range(self, "crossover_rate", "zoom", least=0, most=1)
        check_range(self, "eta", least=0, owner="cppn")


def activation_names(activations: str) -> list[str]:
    """Split a list of names, separated by commas."""
    return [name.strip() for name in activations.split(",") if name.strip()]
