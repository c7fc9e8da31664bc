"""The networks that a command names: one model per flag, weights files in the same order."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qd_fool.choices import Joint, Precision
from qd_fool.commands.common.foreign import picture_settings
from qd_fool.errors import UserError
from qd_fool.models import Scorer, load_scorer
from qd_fool.models.foreign.settings import PictureSettings, is_foreign
from qd_fool.models.joint import join_scorers
from qd_fool.models.network import Network
from qd_fool.models.zoo import entry_of

OWN = "own"
"""What is said instead of a weights file for a network that is to keep its own."""


@dataclasses.dataclass(frozen=True)
class Networks:
    """One network, or several that the same pictures are to fool: their names and files.

    Attributes:
      model: Name of the first network.
      also: Names of the others.
      weights: Weights file of the first network; its own if None.
      also_weights: Weights files of the others; their own if empty.
      joint: Which of their log-odds counts.
      mean: Mean image for the networks that subtract one.
      precision: Precision of parameters and arithmetic.
      picture: What the files of networks that are not the zoo's do not say about their pictures.
    """

    model: str
    also: tuple[str, ...] = ()
    weights: Path | None = None
    also_weights: tuple[Path, ...] = ()
    joint: Joint = "least"
    mean: Path | None = None
    precision: Precision = "float32"
    picture: PictureSettings = dataclasses.field(default_factory=PictureSettings)

    def load(self) -> Network:
        """Read the weights: the network, or all of them as one.

        Raises:
          UserError: as `load_networks` and `join_scorers`.
        """
        first = () if self.weights is None else (self.weights,)
        if self.also_weights and not first:
            first = (Path(OWN),)
        scorers = load_networks(
            (self.model, *self.also),
            (*first, *self.also_weights),
            mean=self.mean,
            precision=self.precision,
            picture=self.picture,
        )
        return join_scorers(scorers, rule=self.joint)


def load_network(name: str, settings: Any) -> Scorer:
    """The one network of a command, read as its flags say.

    Args:
      name: Name of the network.
      settings: Settings of the command, with `weights`, `mean` and `precision`; it is `Pictured`.

    Raises:
      UserError: as `load_scorer`.
    """
    return load_scorer(
        name,
        weights=settings.weights,
        mean=settings.mean,
        precision=settings.precision,
        picture=picture_settings(settings),
    )


def load_networks(
    models: Sequence[str],
    weights: Sequence[Path],
    *,
    mean: Path | None = None,
    precision: str = "float32",
    picture: PictureSettings | None = None,
    flags: tuple[str, str] = ("--model", "--weights"),
) -> list[Scorer]:
    """The networks, in order.

    Args:
      models: names of the zoo; a name may occur more than once, with other weights.
      weights: none, or one a model; `own` for the network's own.
      mean: a mean image for those of them that subtract one.
      precision: as in `load_scorer`.
      picture: as in `load_scorer`, for those of them that are not the zoo's.
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
    entries = [entry_of(name) for name in models]
    takes_mean = [len(models) == 1 or (e is not None and e.mean is not None) for e in entries]
    if picture is not None and not any(is_foreign(name) for name in models):
        takes_picture = [True] * len(models)  # the network refuses it
    else:
        takes_picture = [is_foreign(name) for name in models]
    if mean is not None and not any(takes_mean) and not any(map(is_foreign, models)):
        raise UserError(f"--mean {mean}: {', '.join(models)} subtract no mean image")
    return [
        load_scorer(
            name,
            weights=file,
            mean=mean if with_mean else None,
            precision=precision,
            picture=picture if with_picture else None,
        )
        for name, file, with_mean, with_picture in zip(
            models, files, takes_mean, takes_picture, strict=True
        )
    ]
