"""Several networks at once, as commands name them: a model a flag, weights in the same order."""

from collections.abc import Sequence
from pathlib import Path

from qd_fool.errors import UserError
from qd_fool.models import Scorer, load_scorer
from qd_fool.models.zoo import ZOO

OWN = "own"
"""What is said instead of a weights file for a network that is to keep its own."""


def load_networks(
    models: Sequence[str],
    weights: Sequence[Path],
    *,
    mean: Path | None = None,
    precision: str = "float32",
    flags: tuple[str, str] = ("--model", "--weights"),
) -> list[Scorer]:
    """The networks, in order.

    Args:
      models: names of the zoo; a name may occur more than once, with other weights.
      weights: none, or one a model; `own` for the network's own.
      mean: a mean image for those of them that subtract one.
      precision: as in `load_scorer`.
      flags: what the two are called, for errors.

    Raises:
      UserError: no such model, weights that don't fit, or of another number than the models.
    """
    if weights and len(weights) != len(models):
        raise UserError(
            f"{flags[1]} is given {len(weights)} times and {flags[0]} {len(models)} times: "
            f"expected as many, in the same order ({flags[1]} {OWN} for a network's own)"
        )
    files = [None if str(file) == OWN else file for file in weights] or [None] * len(models)
    takes_mean = [len(models) == 1 or ZOO[name].mean is not None for name in models]
    if mean is not None and not any(takes_mean):
        raise UserError(f"--mean {mean}: {', '.join(models)} subtract no mean image")
    return [
        load_scorer(name, weights=file, mean=mean if takes else None, precision=precision)
        for name, file, takes in zip(models, files, takes_mean, strict=True)
    ]
