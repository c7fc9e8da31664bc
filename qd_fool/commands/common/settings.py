"""A command's settings: to and from JSON, compared with others, and as a command line.

The metadata of a field may be `FREE`: the field may differ when a run is resumed; or `UNRECORDED`:
a run's record does not hold the field. This module imports no JAX.
"""

import dataclasses
import shlex
import typing
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import tyro

from qd_fool.errors import UserError
from qd_fool.registry import default_of
from qd_fool.runs.directory import differences

C = TypeVar("C")

FREE = MappingProxyType({"free": True})
"""Metadata of a field that does not change the outcome and may differ on resume."""

UNRECORDED = MappingProxyType({"unrecorded": True})
"""Metadata of a field that a run's record does not hold."""


def free(default: Any) -> Any:
    """A field that may differ on resume.

    Args:
      default: Default of the field.
    """
    return dataclasses.field(default=default, metadata=FREE)


def flag(name: str) -> str:
    """A field's name as the command spells it, without the dashes before it.

    Args:
      name: Name of the field.
    """
    return name.replace("_", "-")


def plain(value: Any) -> Any:
    """The plain value for JSON.

    Args:
      value: Value of a field.
    """
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def record_of(config: Any) -> dict[str, Any]:
    """The fields of a configuration as plain values for JSON.

    Args:
      config: Configuration, a dataclass.
    """
    return {field.name: plain(getattr(config, field.name)) for field in _recorded(type(config))}


def config_of(
    kind: type[C], record: Mapping[str, Any], *, source: str, needs: Collection[str], **fields: Any
) -> C:
    """Make a configuration from its record. Fields that the record lacks take their default.

    Args:
      kind: Class of the configuration.
      record: Plain values by name; other names are ignored.
      source: Place of the record, for messages.
      needs: Names that every version has recorded.
      **fields: Values that replace those of the record.

    Raises:
      UserError: A needed name is missing, or a value has another type than its field.
    """
    missing = sorted(set(needs) - set(record))
    if missing:
        raise UserError(f"{source} lacks {', '.join(missing)}")
    hints, values = typing.get_type_hints(kind), dict(fields)
    for field in _recorded(kind):
        if field.name in record and field.name not in fields:
            value = record[field.name]
            check_type(field.name, value, default_of(field), source=source)
            values[field.name] = from_plain(value, hints[field.name])
    try:
        return kind(**values)
    except TypeError as error:
        raise UserError(f"{source} is damaged ({error})") from error


def check_type(name: str, value: Any, default: Any, *, source: str) -> None:
    """Check that a value from JSON has the type of its field's default, unless that is None.

    Args:
      name: Name of the field.
      value: Value from JSON.
      default: Default of the field.
      source: Place of the value, for messages.

    Raises:
      UserError: The value has another type.
    """
    usual = plain(default)
    kinds = (int, float) if type(usual) is float else (type(usual),)
    if usual not in (None, dataclasses.MISSING) and type(value) not in kinds:
        raise UserError(f"{source}: {name} is {value!r}, expected {type(usual).__name__}")


def from_plain(value: Any, hint: Any) -> Any:
    """Convert a value from JSON to the type of its field.

    Args:
      value: Value from JSON.
      hint: Type of the field.
    """
    inner = typing.get_args(hint)
    if isinstance(value, list):
        return tuple(from_plain(item, inner[0] if inner else Any) for item in value)
    if isinstance(value, str) and Path in (hint, *inner):
        return Path(value)
    return value


def outcome(kind: type[Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a record that decides the outcome of a run.

    Args:
      kind: Class of the configuration.
      record: Plain values by name; fields that are missing take their default.
    """
    defaults = {field.name: plain(default_of(field)) for field in _recorded(kind)}
    defaults = {name: v for name, v in defaults.items() if v is not dataclasses.MISSING}
    free_names = {field.name for field in dataclasses.fields(kind) if "free" in field.metadata}
    return {name: v for name, v in (defaults | dict(record)).items() if name not in free_names}


def refuse_differences(
    run_dir: Path, stored: Mapping[str, Any], wanted: Mapping[str, Any], *, also: Sequence[str] = ()
) -> None:
    """Check that a run is resumed with the same settings, apart from free ones.

    Args:
      run_dir: Directory of the run.
      stored: Settings of the stored run, from `outcome`.
      wanted: Settings to continue with, from `outcome`.
      also: Other differences, in words.

    Raises:
      UserError: Settings differ; the error names each difference.
    """
    different = [*differences(stored, wanted), *also]
    if different:
        raise UserError(f"cannot resume {run_dir}: {'; '.join(different)}")


def command_line(command: str, config: Any, **fields: Any) -> str:
    """The command line that gives a configuration, without default values.

    Args:
      command: Name of the command.
      config: Configuration, a dataclass.
      **fields: Values that replace those of the configuration; None leaves a field out.
    """
    words = ["qd-fool", command]
    flags: list[str] = []
    hints = typing.get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        value = fields.get(field.name, getattr(config, field.name))
        if value is None or (field.name not in fields and value == default_of(field)):
            continue
        marks = getattr(hints[field.name], "__metadata__", ())
        named = [mark.name for mark in marks if getattr(mark, "name", None)]
        word = f"--{named[0] if named else flag(field.name)}"
        values = [str(item) for item in (value if isinstance(value, tuple) else (value,))]
        if tyro.conf.Positional in marks:
            words += values
        elif isinstance(value, bool):
            flags += [word] * value
        elif tyro.conf.UseAppendAction in marks:
            flags += [each for item in values for each in (word, item)]
        else:
            flags += [word, *values]
    return shlex.join([*words, *flags])


def _recorded(kind: Any) -> "list[dataclasses.Field[Any]]":
    return [field for field in dataclasses.fields(kind) if "unrecorded" not in field.metadata]
