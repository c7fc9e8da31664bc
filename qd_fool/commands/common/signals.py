"""Ctrl-C and SIGTERM as a request to stop, which a run checks between two segments."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def stop_on_signal() -> Iterator[list[int]]:
    """A list that gets the signal's number on Ctrl-C or SIGTERM. A second signal stops at once."""
    got: list[int] = []

    def note(number: int, _frame: Any) -> None:
        if got:
            raise KeyboardInterrupt
        got.append(number)

    before = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield got
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
