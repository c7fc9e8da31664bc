"""The networks that a command names: one model per flag, weights files in the same order."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qd_fool.choices import Joint, Precision
from qd_fool.commands.common.foreign import picture_settings
from qd_fool.errors import UserError
from qd_fool.models import load_scorer
from qd_fool.models.foreign.settings import ENGINES, Engine, PictureSettings, is_foreign
from qd_fool.models.host_scorer import HostScorer
from qd_fool.models.joint import join_scorers
from qd_fool.models.network import Network, SingleNetwork, members_of
from qd_fool.models.zoo import entry_of

OWN = "own"
"""Word in place of a weights file that keeps a network's own weights."""


@dataclasses.dataclass(frozen=True)
class Networks:
    """The names and files of one network, or of several that the same pictures should fool.

    Attributes:
      model: Name of the first network.
      also: Names of the others.
      weights: Weights file of the first network; None for the network's own.
      also_weights: Weights files of the others; empty for the networks' own.
      joint: Rule that combines the log-odds of several networks.
      mean: Mean image for the networks that subtract one.
      precision: Precision of parameters and arithmetic.
      picture: Facts about the pictures that the files of users' networks do not state.
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
        """Read the weights. Several networks are joined into one.

        Raises:
          UserError: A network can't be loaded, or the networks can't be joined.
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

    def with_gradient(self) -> "Networks":
        """The networks for a search that needs gradients: ONNX files are then run by JAX."""
        if self.picture.engine != "auto" or not self.model.startswith("onnx:"):
            return self
        return self.with_engine("jax")

    def with_engine(self, engine: Engine | None) -> "Networks":
        """The networks with another engine.

        Args:
          engine: The engine.
        """
        return dataclasses.replace(self, picture=dataclasses.replace(self.picture, engine=engine))

    def engine_of(self, network: Network) -> Engine | None:
        """The engine that runs a loaded network, with `auto` and defaults resolved.

        It is None if no network has a choice of engines.

        Args:
          network: Network from `load`.

        Raises:
          UserError: Several files have different engines, so a resume could not know them.
        """
        if self.picture.engine not in (None, "auto"):
            return self.picture.engine
        found: set[Engine] = set()
        for name, member in zip((self.model, *self.also), members_of(network), strict=True):
            kind = name.partition(":")[0] if is_foreign(name) else ""
            if kind in ENGINES:
                host: Engine = "onnxruntime" if kind == "onnx" else "torch"
                found.add(host if isinstance(member, HostScorer) else "jax")
        if len(found) > 1:
            raise UserError("each network got another engine: choose --engine jax for all")
        return found.pop() if found else None


def load_network(name: str, settings: Any) -> SingleNetwork:
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
) -> list[SingleNetwork]:
    """The networks, in order.

    Args:
      models: Names of the networks; a name may occur again with other weights.
      weights: Empty, or one file per model; `own` for the network's own weights.
      mean: Mean image for the networks that subtract one.
      precision: Type of parameters and arithmetic: "float32" or "bfloat16".
      picture: Facts about the pictures of users' networks.
      flags: Names of the flags for models and weights, for errors.

    Raises:
      UserError: There is no such model, weights don't fit, or there are more or fewer files than
        models.
    """
    if weights and len(weights) != len(models):
        raise UserError(
            f"{flags[1]} is given {len(weights)} times and {flags[0]} {len(models)} times: "
            f"expected the same number, in the same order ({flags[1]} {OWN} for a network's own)"
        )
    files = [None if str(file) == OWN else file for file in weights] or [None] * len(models)
    entries = [entry_of(name) for name in models]
    takes_mean = [len(models) == 1 or (e is not None and e.mean is not None) for e in entries]
    if picture is not None and not any(is_foreign(name) for name in models):
        takes_picture = [True] * len(models)  # the network refuses the facts
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
