"""A command in several processes: finding each other, and what they must have in common."""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.sharding import Mesh

from qd_fool.commands.common.circumstances import circumstances
from qd_fool.commands.common.networks import Networks
from qd_fool.commands.common.signals import EXIT_INTERRUPTED, active_stop
from qd_fool.commands.common.together import Together
from qd_fool.devices.lockstep import Lockstep, in_lockstep
from qd_fool.devices.processes import (
    LOST,
    Team,
    agree,
    join_team,
    leave_at_exit,
    leave_team,
    tell_all,
)
from qd_fool.errors import UserError
from qd_fool.models.network import Network, is_on_host


def join(settings: Together) -> Team:
    """Connect with the other processes that run this command, if there are any.

    Raises:
      UserError: The processes don't find each other.
    """
    if settings.distributed:
        return join_team()
    if settings.coordinator is not None:
        return join_team(settings.coordinator, index=settings.process_id, count=settings.processes)
    return Team()


@contextlib.contextmanager
def taking_part(team: Team) -> Iterator[None]:
    """Tell the other processes of an error in the block, so that none waits for this one.

    Raises:
      UserError: The block has raised it.
    """
    try:
        yield
    except UserError as error:
        if team.count > 1:
            agree(team, {}, problem=str(error))
        raise


def facts_of_process(
    mesh: Mesh, networks: Networks, *, devices: int | None = None
) -> dict[str, Any]:
    """What must be equal in all processes, whatever the command, by name.

    Processors of another instruction set round otherwise, and results would drift apart.

    Args:
      mesh: Devices of all processes.
      networks: Networks of the command.
      devices: Number of devices of this process; all by default.
    """
    found = circumstances(mesh, networks)
    arithmetic = {name: v for name, v in found["arithmetic"].items() if name != "processor"}
    return {
        "the number of devices": devices or jax.local_device_count(),
        "the device": found["device"]["kind"],
        **arithmetic,
        **{f"the version of {name}": version for name, version in found["versions"].items()},
    }


def refuse_host(network: Network, team: Team) -> None:
    """Check that a network can be asked by several processes.

    Raises:
      UserError: The network runs outside JAX.
    """
    if team.count > 1 and is_on_host(network):
        raise UserError(
            f"{network.name} runs outside JAX: expected a network of JAX for {team.count} processes"
        )


def words_of_follower(team: Team) -> str:
    """What a process prints that writes no file."""
    return f"process {team.index} of {team.count} follows process 0, which shows progress"


@contextlib.contextmanager
def stepping(team: Team) -> Iterator[Lockstep]:
    """Work in the same steps as the other processes. A signal to one is heard by all."""
    stop = active_stop()
    with in_lockstep(team, heard=lambda: stop.number, hear=stop.hear) as steps:
        yield steps


@contextlib.contextmanager
def ending_together(team: Team) -> Iterator[Callable[[], None]]:
    """Work that no loop saves, which a signal to one process ends in all of them.

    A process alone ends at once. One of several goes on until all of them call the function that
    is yielded, between two pieces of work, and only notes a signal after the last call. One that
    ends otherwise does so without waiting for the others, which then notice it.

    Args:
      team: The processes.

    Yields:
      Function without arguments that ends the command if a signal has come to any process.

    Raises:
      KeyboardInterrupt: A signal has come.
      UserError: Another process has ended.
    """
    if team.count == 1:
        yield active_stop().check
        return
    stop = active_stop()

    def end_if_due() -> None:
        number = int(tell_all(team, [stop.number or 0]).max())
        if number:
            if not stop:  # a second signal would mean "quit at once"
                stop.hear(number)
            leave_team(dataclasses.replace(team, stays=False))
            raise KeyboardInterrupt

    try:
        with stop.deferred(words="stopping all processes"):
            yield end_if_due
    except BaseException:
        leave_at_exit(EXIT_INTERRUPTED if stop else LOST)
        raise
