"""Presets of an evolution: the paper's settings, and our fastest ones."""

import dataclasses
from typing import Any, Literal, get_args

from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.parts import EMITTERS_BY_DEFAULT, all_filled
from qd_fool.encodings.table import ENCODINGS
from qd_fool.errors import UserError
from qd_fool.models.zoo import entry_of

Preset = Literal["paper", "fast"]

MANY_CLASSES = 100
"""Number of classes from which a network takes the settings that were chosen on ImageNet."""


def preset_fields(
    preset: str,
    *,
    model: str,
    encoding: str,
    imagenet: bool | None = None,
    gradient: bool = True,
) -> dict[str, Any]:
    """The fields and settings of an `EvolveConfig` that a preset changes.

    "fast" was chosen by `benchmarks/efficiency.py`, whose table shows what else was tried.

    Args:
      preset: "paper" or "fast".
      model: Name of the network in the zoo.
      encoding: Name of the encoding.
      imagenet: Whether to use the settings that were chosen on ImageNet instead of those for the
        digits. By default, the zoo's entry decides.
      gradient: Whether the network has a gradient. Without one, variation takes the place of
        emitters that need it.

    Raises:
      UserError: There is no such preset, model or encoding, or the preset has no settings for the
        encoding.
    """
    if preset not in get_args(Preset):
        raise UserError(f"--preset is {preset!r}: expected {' or '.join(get_args(Preset))}")
    entry, _ = entry_of(model), ENCODINGS[encoding]
    if imagenet is None:
        imagenet = entry is None or entry.imagenet
    if preset == "paper":
        return {}
    fast: dict[tuple[str, bool], dict[str, Any]] = {
        ("cppn", True): {
            "batch_size": 80,
            "coords": "normalized",
            "color": "hsv",
            "most_mutations": 2,
            "cppn_activation": 0.01,
            "parents": "young",
            "emitters": "variation,fine,edge,node,recombine",
            "shares": "adaptive",
            "tune_after": 0.75,
            **{f"{name}_parents": "unsure" for name in ("fine", "edge", "node", "recombine")},
        },
        ("cppn", False): {
            "batch_size": 20,
            "chunk": 10,
            "coords": "normalized",
            "coords_scale": 2.0,
            "crossover_rate": 0.6,
        },
        ("direct", True): {"emitters": "gradient"},
        ("direct", False): {"batch_size": 20, "chunk": 10, "emitters": "variation,gradient"},
    }
    if (encoding, imagenet) not in fast:
        raise UserError(f"--preset fast has no settings for the {encoding} encoding: leave it out")
    fields = fast[encoding, imagenet]
    if gradient or "gradient" not in fields.get("emitters", ""):
        return fields
    # The small chunk is for two emitters that share a small batch.
    return {name: value for name, value in fields.items() if name not in ("emitters", "chunk")}


def with_preset(
    config: EvolveConfig, *, imagenet: bool | None = None, gradient: bool = True
) -> EvolveConfig:
    """Fill in a configuration from its preset, and from the defaults of encoding and emitters.

    Given values come before those of the preset. Settings of the preset for an emitter that the
    configuration does not use have no effect.

    Args:
      config: Configuration, with the name of a preset.
      imagenet: Whether to use the settings that were chosen on ImageNet. By default, the zoo's
        entry decides.
      gradient: Whether the network has a gradient.

    Raises:
      UserError: The preset does not exist or has no settings for the encoding, or given settings do
        not fit the run.
    """
    preset = preset_fields(
        config.preset,
        model=config.model,
        encoding=config.encoding,
        imagenet=imagenet,
        gradient=gradient,
    )
    fields = {field.name for field in dataclasses.fields(EvolveConfig)} & set(preset)
    usual: dict[str, Any] = {
        "emitters": EMITTERS_BY_DEFAULT,
        "shares": "fixed",
        "tune_after": 0.0,
        **{name: preset[name] for name in fields},
    }
    missing = {name: value for name, value in usual.items() if getattr(config, name) is None}
    config = dataclasses.replace(config, **missing)
    return dataclasses.replace(config, settings=all_filled(config, preset))
