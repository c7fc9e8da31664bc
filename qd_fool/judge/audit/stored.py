"""`audit.json`: an audit's report as JSON, and back."""

import dataclasses
import json
import math
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qd_fool.errors import UserError
from qd_fool.files import read_json, replacing
from qd_fool.judge.audit.report import SCHEMA_VERSION, AuditReport

SCHEMA_FILE = Path(__file__).with_name("audit.schema.json")
"""JSON schema of `audit.json`."""


def plain_report(report: AuditReport) -> dict[str, Any]:
    """Return a report as plain values for JSON.

    Args:
      report: Result of an audit.
    """
    return {"kind": "audit", **dataclasses.asdict(report)}


def write_audit(path: Path, report: AuditReport) -> None:
    """Write `audit.json`, whole or not at all.

    Args:
      path: Path of the file.
      report: Result of an audit.
    """
    text = json.dumps(plain_report(report), indent=1, allow_nan=False, ensure_ascii=False)
    with replacing(path) as partial:
        partial.write_text(_short_lists(text) + "\n", encoding="utf-8")


def read_audit(path: Path) -> AuditReport:
    """Read `audit.json`.

    Args:
      path: Path of the file.

    Raises:
      UserError: The file is missing, damaged, no audit, or one of another version.
    """
    value = read_json(path)
    if not isinstance(value, dict) or value.get("kind") != "audit":
        raise UserError(f"{path}: expected the audit.json of an audit")
    if value.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"{path}: schema_version is {value.get('schema_version')!r}, this version reads "
            f"{SCHEMA_VERSION}"
        )
    try:
        return _built(AuditReport, value)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise UserError(f"{path}: is damaged ({error})") from error


def _built(hint: Any, value: Any) -> Any:
    """A value of a type, from plain values."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        names = [field.name for field in dataclasses.fields(hint)]
        return hint(**{name: _built(hints[name], value[name]) for name in names})
    if origin is types.UnionType:
        if value is None and type(None) in inner:
            return None
        return _built(next(kind for kind in inner if kind is not type(None)), value)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, found {type(value).__name__}")
        return tuple(_built(inner[0], item) for item in value)
    if origin is Mapping:
        return {str(name): _built(inner[1], item) for name, item in value.items()}
    if hint is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if type(value) is not hint:
        raise TypeError(f"expected {hint.__name__}, found {value!r}")
    return value


def _short_lists(text: str) -> str:
    """Put lists of numbers on one line: a report of 1000 classes has many."""
    lines: list[str] = []
    held: list[str] | None = None
    for line in text.split("\n"):
        word = line.strip()
        if word.endswith("[") and held is None:
            held = [line]
        elif held is not None and word.endswith(("[", "{")):
            lines += held
            held = [line] if word.endswith("[") else None
            lines += [] if held else [line]
        elif held is not None and word in ("]", "],"):
            lines.append(held[0] + ", ".join(part.strip().rstrip(",") for part in held[1:]) + word)
            held = None
        elif held is not None:
            held.append(line)
        else:
            lines.append(line)
    return "\n".join(lines)
