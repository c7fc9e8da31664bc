"""Objectives of gradient ascent: a class's confidence in several forms, or a unit's output."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from qd_fool.errors import UserError
from qd_fool.models.network import Network
from qd_fool.scoring.layers import layer_shapes

OF_CLASSES = ("log-odds", "probability", "logit")


@dataclasses.dataclass(frozen=True)
class Objective:
    """An objective, read from text.

    Attributes:
      name: One of `OF_CLASSES`, or "unit".
      layer: Name of the unit's layer.
      unit: Place of the unit in the layer's output, rows and columns before the channel.
    """

    name: str
    layer: str | None = None
    unit: tuple[int, ...] = ()


def read_objective(text: str, scorer: Network) -> Objective:
    """Read an objective from text, and check that the network has it.

    Args:
      text: Text "log-odds", "probability" (the paper's), "logit", "LAYER:UNIT" or
        "LAYER:CHANNEL,ROW,COLUMN".
      scorer: The network.

    Raises:
      UserError: The text is none of these, or there is no such layer or unit.
    """
    if text in OF_CLASSES:
        return Objective(text)
    layer, colon, unit = text.rpartition(":")
    if not colon:
        raise UserError(
            f"objective is {text!r}: expected one of {', '.join(OF_CLASSES)}, LAYER:UNIT or "
            "LAYER:CHANNEL,ROW,COLUMN"
        )
    shapes = layer_shapes(scorer)
    if layer not in shapes:
        known = ", ".join(shapes) or "none that have a name"
        raise UserError(
            f"objective is {text!r}: {scorer.name} has no layer {layer!r}, its layers are {known}"
        )
    *places, channels = shapes[layer]
    sides = (channels, *places)
    names = ("CHANNEL", "ROW", "COLUMN") if places else ("UNIT",)
    try:
        numbers = tuple(int(part) for part in unit.split(","))
    except ValueError:
        numbers = ()
    inside = all(0 <= i < side for i, side in zip(numbers, sides, strict=False))
    if len(numbers) != len(sides) or not inside:
        most = ",".join(str(side - 1) for side in sides)
        raise UserError(
            f"objective is {text!r}: expected {layer}:{','.join(names)} from "
            f"{','.join('0' for _ in sides)} to {most}"
        )
    return Objective("unit", layer, (*numbers[1:], numbers[0]))


def to_climb(
    objective: Objective,
    odds: Float[Array, " n"],
    outputs: Float[Array, "n *units"],
    classes: Int[Array, " n"],
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """Return the value to differentiate, and the merit that decides between two iterates.

    Args:
      objective: The objective.
      odds: Log-odds of each picture's class.
      outputs: Logits, or outputs of the objective's layer.
      classes: Class of each picture.

    Returns:
      One number per picture whose gradient is the objective's, and the picture's merit: the unit's
      output, or the log-odds of the class, which order as confidences do.
    """
    if objective.name == "unit":
        unit = outputs[(slice(None), *objective.unit)]
        return unit, unit
    if objective.name == "logit":
        return jnp.take_along_axis(outputs, classes[:, None], axis=1)[:, 0], odds
    if objective.name == "probability":
        # dp = p (1 - p) d(log-odds): exact where 1 - p is too small for float32.
        slope = jax.lax.stop_gradient(jax.nn.sigmoid(odds) * jax.nn.sigmoid(-odds))
        return odds * slope, odds
    return odds, odds
