"""Names for encodings, emitters and networks, and the command's flags for their settings.

An encoding or emitter owns a frozen dataclass of settings. Each field of it is a flag of the
command, `--NAME-FIELD`; registration refuses a name whose flags are taken. This module imports no
JAX, because the command's help lists the flags of all registered things.
"""

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from qd_fool.errors import UserError
from qd_fool.lazy import load

T = TypeVar("T")
Builder = TypeVar("Builder", bound=Callable[..., Any])

COMMAND_FLAGS = frozenset(
    {
        "also",
        "also_weights",
        "archive_rule",
        "channels",
        "in_flight",
        "input_size",
        "labels",
        "layout",
        "output",
        "outputs",
        "post",
        "rate_limit",
        "request_timeout",
        "requests",
        "retries",
        "std",
        "stop_signal",
        "token_env",
        "batch_size",
        "checkpoint_every",
        "chunk",
        "convert",
        "coordinator",
        "crops",
        "devices",
        "distributed",
        "emitters",
        "encoding",
        "engine",
        "evaluations",
        "explain",
        "generations",
        "help",
        "image_size",
        "import",
        "imports",
        "init_from",
        "joint",
        "keep_genomes",
        "log_every",
        "mean",
        "minutes",
        "model",
        "photos",
        "precision",
        "preset",
        "process_id",
        "processes",
        "resume",
        "run_dir",
        "seed",
        "settings",
        "shares",
        "tune_after",
        "weights",
    }
)
"""Names that no setting can have: `qd-fool evolve` uses them itself."""


class Registry(Generic[T]):
    """A table of things of one kind by name, with an error that lists the known names."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._table: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that enters the decorated thing under a name.

        Args:
          name: Name of the thing.

        Raises:
          ValueError: The name is taken.
        """

        def enter(thing: T) -> T:
            if name in self._table:
                raise ValueError(f"{self._kind} {name!r} is registered already")
            self._check(name, thing)
            self._table[name] = thing
            return thing

        return enter

    def _check(self, name: str, thing: T) -> None:
        """Refuse a thing that the table cannot hold."""

    def __getitem__(self, name: str) -> T:
        """Look a name up.

        Raises:
          UserError: No such name.
        """
        if name not in self._table:
            known = ", ".join(self._table)
            raise UserError(f"unknown {self._kind} {name!r}: expected one of {known}")
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)


@dataclasses.dataclass(frozen=True)
class Entry:
    """A registered encoding or emitter.

    Attributes:
      settings: Frozen dataclass with a default for each field, which refuses bad values.
      builder: Function that builds the thing; or its place, "module:function", which is imported
        when the thing is built first.
    """

    settings: type[Any]
    builder: Callable[..., Any] | str

    @property
    def build(self) -> Callable[..., Any]:
        """The function that builds the thing."""
        return load(self.builder) if isinstance(self.builder, str) else self.builder


def setting(
    default: Any, *, flag: str | None = None, shared: bool = False, choices: Any = None
) -> Any:
    """A field of a settings dataclass, with facts about its flag.

    Args:
      default: Default of the field.
      flag: Second name of the flag beside NAME_FIELD, with underscores. It is also the setting's
        key in run.json.
      shared: Whether other encodings may have the same second name, which then means the field of
        the encoding that a run uses.
      choices: `Literal` type with the values that the command accepts.
    """
    metadata = {"flag": flag, "shared": shared, "choices": choices}
    return dataclasses.field(default=default, metadata=metadata)


@dataclasses.dataclass(frozen=True)
class Setting:
    """A field of the settings of a registered thing, and its names in the command.

    Attributes:
      kind: "encoding" or "emitter".
      owner: Name of the thing.
      field: Name of the field.
      type: Type of the field, or the `Literal` of its choices.
      default: Default of the field.
      help: Text about the field, from its dataclass.
      alias: Second name, with underscores; or None.
      shared: Whether other encodings may have the same second name.
    """

    kind: str
    owner: str
    field: str
    type: Any
    default: Any
    help: str
    alias: str | None
    shared: bool

    @property
    def name(self) -> str:
        """NAME_FIELD."""
        return f"{self.owner.replace('-', '_')}_{self.field}"

    @property
    def key(self) -> str:
        """The name in run.json: the second name if there is one, else NAME_FIELD."""
        return self.alias or self.name

    @property
    def names(self) -> tuple[str, ...]:
        """All names, the key first."""
        return tuple(dict.fromkeys((self.key, self.name)))


class SettingsRegistry(Registry[Entry]):
    """A table of things with settings, whose flags must not clash with those of other tables.

    Args:
      kind: Kind of the things, for messages.
      tables: All tables whose settings are flags of one command; this one is added.
    """

    def __init__(self, kind: str, tables: "list[SettingsRegistry]") -> None:
        super().__init__(kind)
        self._tables = tables
        tables.append(self)

    def register_builder(self, name: str, settings: type[Any]) -> Callable[[Builder], Builder]:
        """A decorator that enters a builder into the table.

        Args:
          name: Name of the thing that the builder builds.
          settings: Frozen dataclass with a default for each field. A field is a flag of the
            command, `--NAME-FIELD`; its text under `Attributes:` in the class's docstring is the
            help.

        Raises:
          ValueError: The name or one of the flags is taken, or the dataclass is not of this form.
        """

        def enter(build: Builder) -> Builder:
            self.register(name)(Entry(settings, build))
            return build

        return enter

    def settings(self) -> list[Setting]:
        """The settings of all things in the table."""
        return [s for name, entry in self._table.items() for s in self._settings(name, entry)]

    def settings_of(self, name: str) -> list[Setting]:
        """The settings of one thing.

        Args:
          name: Name of the thing.

        Raises:
          UserError: No such name.
        """
        return self._settings(name, self[name])

    def _settings(self, name: str, entry: Entry) -> list[Setting]:
        hints, texts = _type_hints(entry.settings), attribute_texts(entry.settings)
        return [
            Setting(
                kind=self._kind,
                owner=name,
                field=field.name,
                type=field.metadata.get("choices") or hints.get(field.name, str),
                default=default_of(field),
                help=texts.get(field.name, ""),
                alias=field.metadata.get("flag"),
                shared=bool(field.metadata.get("shared")),
            )
            for field in dataclasses.fields(entry.settings)
        ]

    def _check(self, name: str, thing: Entry) -> None:
        label = f"{self._kind} {name!r}"
        if not re.fullmatch(r"[A-Za-z][\w-]*", name):
            raise ValueError(f"{label}: expected a name of letters, digits, '_' and '-'")
        kind = thing.settings
        if not dataclasses.is_dataclass(kind) or not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            raise ValueError(f"{label}: expected a frozen dataclass as its settings")
        for field in dataclasses.fields(kind):
            if default_of(field) is dataclasses.MISSING:
                raise ValueError(f"{label}: its setting {field.name!r} has no default")
        others = [s for table in self._tables for s in table.settings()]
        for new in self._settings(name, thing):
            for word in new.names:
                spelled = f"--{word.replace('_', '-')}"
                if word in COMMAND_FLAGS:
                    raise ValueError(f"{label}: {spelled} is a flag of the command already")
                for old in others:
                    if word in old.names and not _may_share(new, old, word):
                        raise ValueError(
                            f"{label}: {spelled} is a flag of the {old.kind} {old.owner!r} already"
                        )
            others.append(new)


def _may_share(new: Setting, old: Setting, word: str) -> bool:
    alike = (new.kind, new.type, new.alias) == (old.kind, old.type, old.alias)
    return word == new.alias and alike and new.shared and old.shared and new.owner != old.owner


def default_of(field: "dataclasses.Field[Any]") -> Any:
    """The default of a dataclass's field; `dataclasses.MISSING` where there is none.

    Args:
      field: Field of the dataclass.
    """
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _type_hints(kind: type[Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind)
    except NameError:  # an annotation that only a type checker can read
        return {f.name: type(default_of(f)) for f in dataclasses.fields(kind)}


def attribute_texts(kind: type[Any]) -> dict[str, str]:
    """The texts under `Attributes:` in the docstrings of a class and of its bases, by name.

    Args:
      kind: The class.
    """
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        text = inspect.cleandoc(base.__doc__ or "")
        _, _, section = f"\n{text}\n".partition("\nAttributes:\n")
        indent = " " * (len(section) - len(section.lstrip(" ")))
        names: list[str] = []
        for line in section.splitlines():
            if line and not line.startswith(" "):
                break
            item = re.fullmatch(rf"{indent}(\w+(?:, \w+)*): *(.*)", line)
            if item:
                names = item[1].split(", ")
                found |= dict.fromkeys(names, item[2])
            else:
                found |= {name: f"{found[name]} {line.strip()}".strip() for name in names}
    return found


SETTINGS_TABLES: list[SettingsRegistry] = []
"""The tables of encodings and emitters, whose settings are flags of `qd-fool evolve`."""


def all_settings() -> list[Setting]:
    """The settings of all registered encodings and emitters, encodings first."""
    found = [setting for table in SETTINGS_TABLES for setting in table.settings()]
    return sorted(found, key=lambda setting: setting.kind != "encoding")
