"""Named settings of an evolution: the paper's, and those that find most per counted evaluation."""

from typing import Any, Literal, get_args

from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.encodings import ENCODINGS
from qd_fool.errors import UserError
from qd_fool.models.entry import ZOO

Preset = Literal["paper", "fast"]


def preset_fields(preset: str, *, model: str, encoding: str) -> dict[str, Any]:
    """What a preset sets in an `EvolveConfig`; what it leaves out has its usual default.

    "fast" was chosen by `benchmarks/efficiency.py`, whose table shows what else was tried.

    Args:
      preset: "paper" or "fast".
      model: as in the zoo.
      encoding: as registered.

    Raises:
      UserError: no such preset, model or encoding; or nothing faster is known of that encoding.
    """
    if preset not in get_args(Preset):
        raise UserError(f"--preset is {preset!r}: expected {' or '.join(get_args(Preset))}")
    imagenet, _ = ZOO[model].imagenet, ENCODINGS[encoding]
    if preset == "paper":
        return {}
    fast: dict[tuple[str, bool], dict[str, Any]] = {
        ("cppn", True): {
            "batch_size": 80,
            "coords": "normalized",
            "color": "hsv",
            "most_mutations": 2,
            "parents": "young",
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
        raise UserError(f"--preset fast knows nothing of the {encoding} encoding: leave it out")
    return fast[encoding, imagenet]


def with_preset(preset: str, *, model: str, encoding: str) -> EvolveConfig:
    """A configuration with a preset's settings, to be changed by `dataclasses.replace`.

    Raises:
      UserError: as `preset_fields`.
    """
    fields = preset_fields(preset, model=model, encoding=encoding)
    return EvolveConfig(model=model, encoding=encoding, preset=preset, **fields)
