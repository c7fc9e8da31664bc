"""The flags of `qd-fool evolve`, with one per setting of each encoding and emitter."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from qd_fool.commands.common.settings import flag
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.parts import settings_used
from qd_fool.registry import Setting, all_settings

Hidden = tyro.conf.Suppress[tyro.conf.Fixed[Any]]


def evolve_flags() -> type[Any]:
    """The dataclass that the parser fills in: `EvolveConfig`, with a field per flag.

    A setting that is not given is None, whatever its default: the preset, the encoding or the
    emitter then decides.
    """
    several = tyro.conf.UseAppendAction
    models = tyro.conf.arg(help_behavior_hint="(default: lenet)")
    files = tyro.conf.arg(help_behavior_hint="(default: the model's own)")
    fields: list[tuple[str, Any, Any]] = [
        ("model", Annotated[several[tuple[str, ...]], models], dataclasses.field(default=())),
        ("weights", Annotated[several[tuple[Path, ...]], files], dataclasses.field(default=())),
        ("also", Hidden, dataclasses.field(default=())),
        ("also_weights", Hidden, dataclasses.field(default=())),
        ("settings", Hidden, dataclasses.field(default_factory=dict)),
        *((name, kind, dataclasses.field(default=None)) for name, kind in _setting_flags()),
    ]
    return dataclasses.make_dataclass(
        "EvolveFlags",
        fields,
        bases=(EvolveConfig,),
        frozen=True,
        namespace={"__doc__": EvolveConfig.__doc__},
    )


def _setting_flags() -> list[tuple[str, Any]]:
    """One pair per flag: its name, and its type with the help."""
    by_key: dict[str, list[Setting]] = {}
    for setting in all_settings():
        by_key.setdefault(setting.key, []).append(setting)
    found = []
    for key, owners in by_key.items():
        names = owners[0].names[1:] if len(owners) == 1 else ()
        found.append((key, _flag_type(key, owners, names)))
        if len(owners) > 1:
            found += [(setting.name, _flag_type(setting.name, [setting])) for setting in owners]
    return found


def _flag_type(name: str, owners: Sequence[Setting], others: Sequence[str] = ()) -> Any:
    texts = dict.fromkeys(setting.help for setting in owners if setting.help)
    defaults = dict.fromkeys(str(setting.default) for setting in owners)
    about = tyro.conf.arg(
        name=flag(name),
        aliases=[f"--{flag(other)}" for other in others],
        help=" ".join(texts) or f"Setting of the {owners[0].owner} {owners[0].kind}.",
        help_behavior_hint=f"(default: {' or '.join(defaults)})",
    )
    return Annotated[owners[0].type | None, about]


def flags_of(config: EvolveConfig, kind: type[Any]) -> Any:
    """The parser's defaults from a configuration, without networks and settings.

    Flags of these stay empty if they are not given; `config_of_flags` then keeps stored values.

    Args:
      config: Configuration of a run to resume.
      kind: Class from `evolve_flags`.
    """
    given = {"model", "weights", "also", "also_weights", "settings"}
    names = [field.name for field in dataclasses.fields(EvolveConfig) if field.name not in given]
    return kind(**{name: getattr(config, name) for name in names})


def config_of_flags(flags: Any, stored: EvolveConfig | None = None) -> EvolveConfig:
    """Make a configuration from parsed flags.

    Args:
      flags: Instance of the class from `evolve_flags`, from the parser.
      stored: Configuration of the run to resume, which holds for flags that are not given.

    Raises:
      UserError: The run to resume has an unknown encoding or emitter.
    """
    usual = stored or EvolveConfig()
    fields = {f.name: getattr(flags, f.name) for f in dataclasses.fields(EvolveConfig)}
    model, *also = flags.model or (usual.model, *usual.also)
    fields |= {"model": model, "also": tuple(also), "settings": {}}
    first, *others = flags.weights or (usual.weights, *usual.also_weights)
    fields |= {"weights": first, "also_weights": tuple(others)}
    names = dict.fromkeys(name for setting in all_settings() for name in setting.names)
    given = {n: getattr(flags, n) for n in names if getattr(flags, n, None) is not None}
    config = EvolveConfig(**fields)
    if stored is not None:
        had = settings_used(stored)
        kept = [s for s in settings_used(config) if s in had and given.keys().isdisjoint(s.names)]
        given |= {s.key: stored.settings[s.key] for s in kept if s.key in stored.settings}
    return dataclasses.replace(config, settings=given)
