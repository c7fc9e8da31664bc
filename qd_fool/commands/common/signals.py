"""Signals as a request to stop, from the first line that a command prints to its last.

They are SIGINT (Ctrl-C), SIGTERM, SIGHUP, and the signal of `--stop-signal`. Outside of a run's
loop a signal ends the command with KeyboardInterrupt. Inside, it is only noted: the loop saves, and
stops. A second signal quits at once, unless it comes within half a second of the first, since batch
systems send two.

While XLA compiles, Python handles no signal, and an exception that a handler raises within JAX may
be swallowed. So in a process of its own, a thread hears each signal at once and ends the process if
the command does not.
"""

import dataclasses
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from qd_fool.commands.common.settings import UNRECORDED
from qd_fool.errors import UserError

EXIT_INTERRUPTED = 130
"""Exit code after a signal, whichever it was."""

TOGETHER = 0.5
"""Seconds within which two signals count as one."""

GRACE = 2.0
"""Seconds that a command without a run to save has to end after a signal."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stoppable:
    """A command whose run is saved when a signal stops it."""

    stop_signal: str | None = dataclasses.field(default=None, metadata=UNRECORDED)
    """Further signal that saves and stops the run, as Ctrl-C does, such as USR1 after `sbatch
    --signal=B:USR1@60`. SIGINT, SIGTERM and SIGHUP always do."""


class Stop:
    """Whether a signal has asked the command to stop. True once one has.

    Attributes:
      number: Number of the first signal; None before it.
      words: What is said of a signal that is only noted.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.words = ""
        self._when = 0.0
        self._again = False
        self._deferred = 0
        self._saved = False
        self._raised = 0
        self._lock = threading.RLock()

    def __bool__(self) -> bool:
        return self.number is not None

    def hear(self, number: int) -> bool:
        """Note a signal. Returns whether it is the first.

        Args:
          number: Number of the signal.
        """
        with self._lock:
            now = time.monotonic()
            if self.number is None:
                self.number, self._when = number, now
                return True
            if now - self._when >= TOGETHER:
                self._again = True
            return False

    @property
    def must_quit(self) -> bool:
        """Whether to quit at once: a second signal came."""
        return self._again

    @property
    def saves(self) -> bool:
        """Whether a run is being saved or has just been, so that a first signal is only noted."""
        return self._deferred > 0 or self._saved

    def raise_if_due(self) -> None:
        """End what runs, once for the first signal outside of a run, and once for a second one.

        Raises:
          KeyboardInterrupt: It is due.
        """
        due = 2 if self._again else int(self.number is not None and not self.saves)
        if due > self._raised:
            self._raised = due
            raise KeyboardInterrupt

    def check(self) -> None:
        """End the command if a signal has come, for instance one that JAX has swallowed.

        A command that goes on after a run was saved calls this, and signals raise again.

        Raises:
          KeyboardInterrupt: A signal has come.
        """
        self._saved = False
        if self.number is not None:
            raise KeyboardInterrupt

    @contextmanager
    def deferred(self, *, words: str = "stopping, and saving") -> Iterator["Stop"]:
        """Only note a first signal while the block runs, which looks whether one came.

        Afterwards the command is about to end, and its exit code is that of the run. A block within
        another one begins even after a signal: only the outer one knows what must be saved.

        Args:
          words: What is said of a signal, unless an outer block has its own words.

        Raises:
          KeyboardInterrupt: A signal came before the outer block.
        """
        with self._lock:
            if not self._deferred:
                self.check()
                self.words = words
            self._deferred += 1
        try:
            yield self
            self._saved = True
        finally:
            self._deferred -= 1


_active: Stop | None = None


def active_stop() -> Stop:
    """Return the signals of the command that runs; outside of a command, ones that never come."""
    return Stop() if _active is None else _active


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Note a first signal while the block runs, which saves a run and looks whether one came.

    Raises:
      KeyboardInterrupt: A signal came before the block.
    """
    if _active is not None:
        with _active.deferred() as stop:
            yield stop
        return
    with own_signals() as stop, stop.deferred():
        yield stop


def numbers_of(further: str | None = None) -> list[int]:
    """The numbers of the signals that stop a command.

    Args:
      further: Name of one more, such as "USR1" or "SIGUSR1", or its number.

    Raises:
      UserError: There is no such signal, or a program can't handle it.
    """
    names = ["SIGINT", "SIGTERM", "SIGHUP"]
    found = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # `nohup` and such make a program ignore the end of its terminal.
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) == signal.SIG_IGN:
        found.remove(hangup)
    if further is None:
        return found
    name = further.upper().removeprefix("SIG")
    number = getattr(signal, f"SIG{name}", None)
    if name.isdecimal() and int(name) in [int(known) for known in signal.valid_signals()]:
        number = int(name)
    if number is None or name in ("KILL", "STOP", "SEGV") or number in (9, 19):
        raise UserError(f"--stop-signal {further}: expected the name of a signal, such as USR1")
    return [*found, number]


@contextmanager
def own_signals(
    *,
    further: str | None = None,
    own_process: bool = False,
    announce: Callable[[str], None] | None = None,
) -> Iterator[Stop]:
    """Handle signals while the block runs. Only a program's main thread can; others get none.

    Args:
      further: Name of a further signal.
      own_process: Whether the process exists for this command. Then a thread ends it if need be,
        and later signals are ignored, so that they don't change the exit code.
      announce: Function to print a sentence when a first signal is only noted.

    Raises:
      UserError: There is no such further signal.
    """
    global _active
    numbers, stop, outer = numbers_of(further), Stop(), _active
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    reader = _Reader(stop, numbers, announce) if own_process else None

    def handle(number: int, _frame: Any) -> None:
        if reader is not None:
            reader.drain()
        else:
            stop.hear(number)
        stop.raise_if_due()

    before = {number: signal.signal(number, handle) for number in numbers}
    hook, sys.unraisablehook = sys.unraisablehook, _with_less_noise(sys.unraisablehook, stop)
    _active = stop
    try:
        yield stop
    finally:
        _active = outer
        if not own_process:
            sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if own_process else handler)
        if reader is not None:
            reader.close()


def _with_less_noise(hook: Callable[[Any], object], stop: Stop) -> Callable[[Any], object]:
    """A hook for exceptions that nothing can catch, without two kinds that are handled elsewhere.

    One is an interrupt that a signal has caused. The other comes from Orbax: when one part of a
    checkpoint can't be read or written, it leaves the others to an event loop that it has closed.
    """

    def report(unraisable: Any) -> None:
        interrupt = bool(stop) and issubclass(unraisable.exc_type, KeyboardInterrupt)
        left_behind = str(unraisable.exc_value) == "Event loop is closed"
        if not (interrupt or left_behind):
            hook(unraisable)

    return report


class _Reader:
    """A thread that hears signals at once, while the main thread may be busy outside of Python."""

    def __init__(
        self, stop: Stop, numbers: Sequence[int], announce: Callable[[str], None] | None
    ) -> None:
        self._stop, self._numbers, self._announce = stop, set(map(int, numbers)), announce
        self._lock = threading.RLock()
        self._end, self._begin = os.pipe()
        for end in (self._end, self._begin):
            os.set_blocking(end, False)
        self._before = signal.set_wakeup_fd(self._begin, warn_on_full_buffer=False)
        self._first = threading.Event()
        self._closed = False
        threading.Thread(target=self._watch, name="qd-fool signals", daemon=True).start()

    def close(self) -> None:
        """Stop hearing."""
        self._closed = True
        signal.set_wakeup_fd(self._before)

    def drain(self) -> None:
        """Note the signals that have come. Each is noted once, by the first thread that asks."""
        with self._lock:
            try:
                heard = os.read(self._end, 1024)
            except BlockingIOError:
                return
            for number in heard:
                if number in self._numbers and self._stop.hear(number):
                    self._first.set()

    def _watch(self) -> None:
        announced, since = False, 0.0
        while not self._closed:
            select.select([self._end], [], [], GRACE / 10)
            self.drain()
            if self._stop.must_quit:
                self._quit()
            if not self._first.is_set():
                continue
            if not announced:
                announced, since = True, time.monotonic()
                if self._stop.saves and self._announce is not None:
                    name = signal.Signals(self._stop.number or 0).name
                    self._announce(f"{name}: {self._stop.words}; a second signal quits at once")
            if self._stop.saves:
                since = time.monotonic()
            elif time.monotonic() - since > GRACE:
                self._quit()

    def _quit(self) -> None:
        """End the process. What is on disk is whole at any time."""
        if self._closed:
            return
        with suppress(OSError):  # the terminal may be gone
            os.write(2, b"qd-fool: interrupted\n")
        os._exit(EXIT_INTERRUPTED)
