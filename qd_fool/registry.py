"""Names for encodings, models and the like: one small table, nothing cleverer."""

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from qd_fool.errors import UserError

T = TypeVar("T")


class Registry(Generic[T]):
    """A table from a name to a thing of one kind, with an error that lists what there is."""

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._table: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """A decorator that enters what it decorates under `name`.

        Raises:
          ValueError: the name is taken.
        """

        def enter(thing: T) -> T:
            if name in self._table:
                raise ValueError(f"{self._kind} {name!r} is registered already")
            self._table[name] = thing
            return thing

        return enter

    def __getitem__(self, name: str) -> T:
        """Look a name up.

        Raises:
          UserError: no such name.
        """
        if name not in self._table:
            known = ", ".join(self._table)
            raise UserError(f"unknown {self._kind} {name!r}: expected one of {known}")
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)
