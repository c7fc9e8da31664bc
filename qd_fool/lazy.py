"""Names that are imported at their first use, so that the help need not import JAX."""

import dataclasses
import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any


def load(path: str) -> Any:
    """Import the object that `module:name` names.

    Args:
      path: Module and name, with a colon between them.
    """
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def lazy_names(
    package: str, places: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` (PEP 562) of a package that re-exports names.

    Args:
      package: Name of the package, `__name__` in its `__init__`.
      places: Module that defines each name.
    """

    def get(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(places[name]), name)
        setattr(sys.modules[package], name, value)  # the next look-up does not call this function
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *places})

    return get, names


@dataclasses.dataclass(frozen=True)
class LazyFunction:
    """A function that is imported at its first call.

    Attributes:
      path: Module and name, with a colon between them.
      keywords: Keyword arguments of each call, as pairs.
    """

    path: str
    keywords: tuple[tuple[str, Any], ...] = ()

    @property
    def func(self) -> Callable[..., Any]:
        """The function itself, without the keyword arguments."""
        return load(self.path)

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        """Call the function."""
        return self.func(*args, **dict(self.keywords), **keywords)


@dataclasses.dataclass(frozen=True)
class LazyMapping(Mapping[str, Any]):
    """A mapping that is imported, or built, at its first use.

    Attributes:
      path: Module and name of a mapping, or of a function that returns one.
      arguments: Arguments of that function.
    """

    path: str
    arguments: tuple[Any, ...] = ()

    @property
    def mapping(self) -> Mapping[str, Any]:
        """The mapping itself."""
        found = load(self.path)
        return found(*self.arguments) if callable(found) else found

    def __getitem__(self, key: str) -> Any:
        return self.mapping[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.mapping)

    def __len__(self) -> int:
        return len(self.mapping)
