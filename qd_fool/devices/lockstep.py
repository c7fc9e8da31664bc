"""Work that several processes do in the same steps, as process 0 decides."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from jaxtyping import PyTree

from qd_fool.devices.processes import LostProcessError, Team, from_leader, leave_team, tell_all
from qd_fool.errors import UserError

END, STEP = 0, 1
"""What a process says: it does no more steps, or a step follows."""


class Lockstep:
    """The steps of the processes. A process alone decides for itself.

    Before each step, the processes tell each other that they go on, and which signals they have
    got. So one that stops, stops all of them, at the same step.
    """

    def __init__(
        self, team: Team, *, heard: Callable[[], int | None], hear: Callable[[int], Any]
    ) -> None:
        """Begin.

        Args:
          team: The processes.
          heard: Function that returns the number of a signal that this process knows of; None if
            there was none.
          hear: Function that notes the number of a signal that another process got.
        """
        self.team = team
        self._heard, self._hear = heard, hear
        self._over, self._signal = team.count == 1, False

    def next(self, number: int = 0) -> int:
        """Return process 0's number in all processes, which call this before the same step.

        Args:
          number: What process 0 decides, such as the size of the step.

        Raises:
          UserError: Another process has ended.
        """
        if self.team.count == 1:
            return number
        rows = self._tell(STEP, number)
        ended = np.flatnonzero(rows[:, 0] == END)
        if len(ended):
            self._leave()
            raise LostProcessError(f"process {ended[0]} of the run has ended")
        return int(rows[0, 1])

    def stops(self) -> bool:
        """Return whether a signal has come to any process; all call this before the same step.

        Raises:
          UserError: Another process has ended.
        """
        if self.team.count == 1:
            return self._heard() is not None
        self.next()
        return self._signal

    def share(self, tree: PyTree) -> PyTree:
        """Return process 0's arrays in all processes, which call this before the same step.

        Args:
          tree: Arrays on the host. Those of other processes only give shapes and types.

        Raises:
          UserError: Another process has ended.
        """
        self.next()
        return from_leader(self.team, tree)

    def end(self) -> None:
        """Do no more steps together. Processes that wait for a step get an error."""
        if not self._over:
            self._tell(END, 0)
            self._leave()

    def _leave(self) -> None:
        self._over = True
        leave_team(self.team)

    def _tell(self, code: int, number: int) -> np.ndarray:
        try:
            rows = tell_all(self.team, [code, number, self._heard() or 0])
        except LostProcessError:
            self._over = True
            raise
        # A signal is noted once: a second one would mean "quit at once".
        self._signal = bool(rows[:, 2].any())
        if self._signal and self._heard() is None:
            self._hear(int(rows[:, 2].max()))
        return rows


@contextlib.contextmanager
def in_lockstep(
    team: Team, *, heard: Callable[[], int | None], hear: Callable[[int], Any]
) -> Iterator[Lockstep]:
    """Work in the same steps as other processes while the block runs.

    When process 0's block ends early, the other processes get an error. When a block ends with an
    error that each process has met, all leave together.

    Args:
      team: The processes.
      heard: Function that returns the number of a signal that this process knows of.
      hear: Function that notes the number of a signal that another process got.
    """
    steps = Lockstep(team, heard=heard, hear=hear)
    try:
        yield steps
    except LostProcessError:  # nobody is left to tell
        raise
    except BaseException as error:
        if team.leads or isinstance(error, UserError):
            steps.end()
        raise
    steps.end()
