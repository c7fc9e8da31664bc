"""Which fields of an `EvolveConfig` are settings of its encoding, and which of its emitters.

A configuration is any dataclass here: that of the command imports this.
"""

import dataclasses
from typing import Any

from qd_fool.emitters.base import EMITTERS
from qd_fool.emitters.shares import Share
from qd_fool.encodings import ENCODINGS
from qd_fool.errors import UserError


def encoding_settings(config: Any) -> dict[str, Any]:
    """Those fields of a configuration that are settings of its encoding.

    Raises:
      UserError: one of another encoding's was set.
    """
    values = vars(config)
    defaults = {f.name: f.default for f in dataclasses.fields(config)}
    own = {f.name for f in dataclasses.fields(ENCODINGS[config.encoding].settings)}
    for name in ENCODINGS:
        for field in dataclasses.fields(ENCODINGS[name].settings):
            if field.name in own or field.name not in values:
                continue
            if values[field.name] != defaults[field.name]:
                raise UserError(
                    f"--{flag(field.name)} {values[field.name]} is of the {name} encoding: "
                    f"the {config.encoding} encoding has no such setting"
                )
    return {name: value for name, value in values.items() if name in own}


def emitter_shares(config: Any) -> tuple[Share, ...]:
    """The emitters that a configuration names, with the settings that it holds for them.

    A setting of an emitter is a field of that name, or of the emitter's name before it.

    Raises:
      UserError: no such emitter, or a share that is no number; a setting of one that is not there.
    """
    values = vars(config)
    defaults = {f.name: f.default for f in dataclasses.fields(config)}

    def flag_of(name: str, field: str) -> str:
        return field if field in values else f"{name}_{field}"

    shares = []
    for part in config.emitters.split(","):
        name, colon, number = part.strip().partition(":")
        if name not in EMITTERS:
            raise UserError(f"--emitters names {name!r}: expected {', '.join(EMITTERS)}")
        try:
            share = float(number) if colon else 1.0
        except ValueError as error:
            raise UserError(
                f"--emitters has {part.strip()!r}: expected a number behind the colon"
            ) from error
        fields = [f.name for f in dataclasses.fields(EMITTERS[name].settings)]
        flags = {field: flag_of(name, field) for field in fields}
        settings = {field: values[its] for field, its in flags.items() if its in values}
        shares.append(Share(name, share, EMITTERS[name].settings(**settings)))
    named = [share.name for share in shares]
    if len(set(named)) < len(named):
        raise UserError(f"--emitters is {config.emitters!r}: expected each at most once")
    for name in EMITTERS:
        for field in dataclasses.fields(EMITTERS[name].settings):
            its = flag_of(name, field.name)
            if its not in values:
                continue  # of an emitter that the command does not know
            if name not in named and values[its] != defaults[its]:
                raise UserError(
                    f"--{flag(its)} {values[its]} is of the {name} emitter: "
                    f"--emitters {config.emitters} does not have it"
                )
    return tuple(shares)


def flag(name: str) -> str:
    """A field's name as the command spells it, without the dashes before it."""
    return name.replace("_", "-")
