"""Segments that several processes run together: process 0 says what comes, the others follow."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Array, PyTree

from qd_fool.devices.mesh import replicate
from qd_fool.devices.processes import (
    LostProcessError,
    Team,
    from_leader,
    leave_team,
    lost_process,
    tell_all,
)
from qd_fool.map_elites.segments import Segment
from qd_fool.map_elites.state import EvolutionState, GenerationLog

END, BEGIN, RUN = 0, 1, 2
"""What the leader says: all is over, the state follows, or some generations follow."""

NEVER = -1
"""The generation from which emitters with a step size join, in a run without them."""


class Leader:
    """Process 0 of a run, which tells the other processes what comes. Alone, it tells nobody."""

    def __init__(self, team: Team, mesh: Mesh, *, hear: Callable[[int], Any]) -> None:
        """Lead a team.

        Args:
          team: The processes.
          mesh: Devices of all processes.
          hear: Function that notes the number of a signal that another process got.
        """
        self._team, self._mesh, self._hear = team, mesh, hear
        self._over, self._heard = team.count == 1, False

    def begin(self, state: EvolutionState) -> None:
        """Give the state, on the host, to the other processes."""
        if not self._over:
            self._tell(BEGIN)
            from_leader(self._team, jax.tree.map(np.asarray, state))

    def leading(self, segment: Segment) -> Segment:
        """Return the segment, which makes the other processes run it at the same time."""
        if self._over:
            return segment

        def run(
            state: EvolutionState, params: PyTree[Array], count: Any
        ) -> tuple[EvolutionState, GenerationLog]:
            tune_from = NEVER if state.feedback is None else int(state.feedback.tune_from)
            self._tell(RUN, int(count), tune_from)
            try:
                with lost_process():
                    done = segment(with_tuning_from(state, tune_from, self._mesh), params, count)
                    return jax.block_until_ready(done)
            except LostProcessError:
                self._over = True
                raise

        return run

    def end(self) -> None:
        """Let the other processes go, unless they have gone."""
        if not self._over:
            self._tell(END)
            self._over = True
            leave_team(self._team)

    def _tell(self, code: int, count: int = 0, tune_from: int = NEVER) -> None:
        try:
            rows = tell_all(self._team, [code, count, tune_from, 0])
        except LostProcessError:
            self._over = True
            raise
        # A follower says so until the end; a second time would mean "quit at once".
        if rows[1:, 3].any() and not self._heard:
            self._heard = True
            self._hear(int(rows[1:, 3].max()))


@contextlib.contextmanager
def leading(team: Team, mesh: Mesh, *, hear: Callable[[int], Any]) -> Iterator[Leader]:
    """Lead a team while the block runs. However it ends, the other processes are let go.

    Args:
      team: The processes.
      mesh: Devices of all processes.
      hear: Function that notes the number of a signal that another process got.
    """
    leader = Leader(team, mesh, hear=hear)
    try:
        yield leader
    finally:
        leader.end()


def follow(
    team: Team,
    segment: Callable[[EvolutionState, PyTree[Array]], Segment],
    blank: EvolutionState,
    params: PyTree[Any],
    *,
    mesh: Mesh,
    heard: Callable[[], int | None],
) -> int:
    """Run what the leader says until it ends.

    Args:
      team: The processes.
      segment: Function that compiles the segment for a state and parameters on the devices.
      blank: State of the right shapes, on the host.
      params: Parameters of the network, on the host.
      mesh: Devices of all processes.
      heard: Function that returns the number of a signal that this process got; None if there was
        none.

    Returns:
      The number of generations that were run.

    Raises:
      UserError: Another process has ended.
    """
    code, *_ = _words_of_leader(team, heard)
    if code != BEGIN:
        leave_team(team)
        return 0
    state = replicate(from_leader(team, jax.tree.map(np.asarray, blank)), mesh)
    everywhere = replicate(params, mesh)
    run, done = segment(state, everywhere), 0
    while True:
        code, count, tune_from = _words_of_leader(team, heard)
        if code != RUN:
            leave_team(team)
            return done
        with lost_process():
            state, log = run(with_tuning_from(state, tune_from, mesh), everywhere, np.int32(count))
            jax.block_until_ready(log)
        done += count


def with_tuning_from(state: EvolutionState, generation: int, mesh: Mesh) -> EvolutionState:
    """Return the state, in which emitters with a step size join from a generation on.

    Args:
      state: State on the devices of all processes.
      generation: The generation; `NEVER` for a run without such emitters.
      mesh: Devices of all processes.
    """
    if state.feedback is None:
        return state
    start = np.asarray(generation, state.feedback.tune_from.dtype)
    feedback = dataclasses.replace(state.feedback, tune_from=replicate(start, mesh))
    return dataclasses.replace(state, feedback=feedback)


def _words_of_leader(team: Team, heard: Callable[[], int | None]) -> tuple[int, int, int]:
    """What the leader says. The leader hears of a signal."""
    number = heard()
    row = tell_all(team, [END, 0, NEVER, number or 0])[0]
    return int(row[0]), int(row[1]), int(row[2])
