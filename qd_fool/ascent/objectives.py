"""What gradient ascent climbs: a class's confidence in one form or another, or a unit's output."""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from qd_fool.errors import UserError
from qd_fool.models import Scorer
from qd_fool.scoring.log_odds import layer_shapes

OF_CLASSES = ("log-odds", "probability", "logit")


@dataclasses.dataclass(frozen=True)
class Objective:
    """An objective, read from text.

    Attributes:
      name: of `OF_CLASSES`, or "unit".
      layer: the unit's.
      unit: its place in the layer's output, rows and columns before the channel.
    """

    name: str
    layer: str | None = None
    unit: tuple[int, ...] = ()


def read_objective(text: str, scorer: Scorer) -> Objective:
    """An objective from text, seen to exist in a network.

    Args:
      text: "log-odds", "probability" (the paper's), "logit", "LAYER:UNIT" or
        "LAYER:CHANNEL,ROW,COLUMN".
      scorer: the network.

    Raises:
      UserError: not such a text, or no such layer or unit.
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
    own: Float[Array, " n"],
    outputs: Float[Array, "n *units"],
    classes: Int[Array, " n"],
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """What to differentiate, and what tells the better of two iterates.

    Args:
      objective: what is wanted.
      own: log-odds of each picture's class.
      outputs: logits, or what the objective's layer gave.
      classes: each picture's.

    Returns:
      A number a picture whose gradient is the objective's, and its merit: a unit's own output, else
      the class's log-odds, as which the confidence orders.
    """
    if objective.name == "unit":
        unit = outputs[(slice(None), *objective.unit)]
        return unit, unit
    if objective.name == "logit":
        return jnp.take_along_axis(outputs, classes[:, None], axis=1)[:, 0], own
    if objective.name == "probability":
        # dp = p (1 - p) d(log-odds): exact where 1 - p is too small for float32.
        slope = jax.lax.stop_gradient(jax.nn.sigmoid(own) * jax.nn.sigmoid(-own))
        return own * slope, own
    return own, own
