"""The settings that a configuration gives to its encoding and emitters.

A setting has up to two names: NAME_FIELD (`cppn_coords`), and for this project's encodings and
emitters a shorter one (`coords`), which run.json uses. The encodings share the names `color` and
`crossover_rate`, which mean the field of the encoding that the run uses.
"""

from collections.abc import Mapping
from typing import Any

from qd_fool.commands.common.settings import flag
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.emitters.shares import Share
from qd_fool.emitters.table import EMITTERS
from qd_fool.encodings.table import ENCODINGS
from qd_fool.errors import UserError
from qd_fool.registry import Setting, all_settings

EMITTERS_BY_DEFAULT = "variation"


def emitter_parts(config: EvolveConfig) -> list[tuple[str, float]]:
    """The emitters that a configuration names, and their shares.

    Args:
      config: Configuration of a run.

    Raises:
      UserError: An emitter is unknown or named twice, or a share is not a number.
    """
    parts, text = [], config.emitters or EMITTERS_BY_DEFAULT
    for part in text.split(","):
        name, colon, number = part.strip().partition(":")
        if name not in EMITTERS:
            raise UserError(f"--emitters names {name!r}: expected {', '.join(EMITTERS)}")
        try:
            parts.append((name, float(number) if colon else 1.0))
        except ValueError as error:
            raise UserError(
                f"--emitters has {part.strip()!r}: expected a number behind the colon"
            ) from error
    names = [name for name, _ in parts]
    if len(set(names)) < len(names):
        raise UserError(f"--emitters is {text!r}: expected each at most once")
    return parts


def settings_used(config: EvolveConfig) -> list[Setting]:
    """The settings of the run's encoding and emitters.

    Args:
      config: Configuration of a run.

    Raises:
      UserError: There is no such encoding or emitter.
    """
    names = [name for name, _ in emitter_parts(config)]
    emitters = [setting for name in names for setting in EMITTERS.settings_of(name)]
    return [*ENCODINGS.settings_of(config.encoding), *emitters]


def settings_given(config: EvolveConfig) -> dict[str, Any]:
    """The given settings of the run's encoding and emitters, by their names in run.json.

    Args:
      config: Configuration of a run.

    Raises:
      UserError: A setting belongs to an encoding or emitter that the run does not use, or has two
        values under its two names.
    """
    used = settings_used(config)
    given: dict[str, Any] = {}
    for name, value in config.settings.items():
        found = next((setting for setting in used if name in setting.names), None)
        if found is None:
            raise UserError(_not_used(config, name))
        if given.setdefault(found.key, value) != value:
            first, second = (f"--{flag(word)}" for word in found.names)
            raise UserError(f"{first} and {second} are the same setting: expected one of them")
    return given


def _not_used(config: EvolveConfig, name: str) -> str:
    owners = [setting for setting in all_settings() if name in setting.names]
    if not owners:
        return f"no encoding or emitter has a setting {name!r}"
    kind = owners[0].kind
    names = " and ".join(setting.owner for setting in owners)
    sentence = f"--{flag(name)} applies only to the {names} {kind}{'s' * (len(owners) > 1)}"
    if kind == "encoding":
        return f"{sentence}; this run uses {config.encoding}"
    return f"{sentence}; --emitters is {config.emitters or EMITTERS_BY_DEFAULT}"


def all_filled(config: EvolveConfig, preset: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of the run's encoding and emitters, by their names in run.json.

    Args:
      config: Configuration of a run, whose settings come first.
      preset: Settings for those that the configuration does not give. The encoding and the emitters
        have defaults for the rest.

    Raises:
      UserError: The given settings do not fit the run; see `settings_given`.
    """
    given = settings_given(config)
    return {
        setting.key: given.get(setting.key, preset.get(setting.key, setting.default))
        for setting in settings_used(config)
    }


def encoding_settings(config: EvolveConfig) -> dict[str, Any]:
    """The fields of the encoding's settings that a configuration gives.

    Args:
      config: Configuration of a run.

    Raises:
      UserError: The given settings do not fit the run; see `settings_given`.
    """
    return _fields(ENCODINGS.settings_of(config.encoding), settings_given(config))


def emitter_shares(config: EvolveConfig) -> tuple[Share, ...]:
    """The emitters that a configuration names, with the settings that it gives them.

    Args:
      config: Configuration of a run.

    Raises:
      UserError: The emitters or the given settings are wrong (see `emitter_parts` and
        `settings_given`), or an emitter refuses a value.
    """
    given = settings_given(config)
    return tuple(
        Share(name, share, EMITTERS[name].settings(**_fields(EMITTERS.settings_of(name), given)))
        for name, share in emitter_parts(config)
    )


def _fields(settings: list[Setting], given: Mapping[str, Any]) -> dict[str, Any]:
    return {s.field: given[s.key] for s in settings if s.key in given}
