"""`qd-fool evolve` in several processes: finding each other, and the work of those that follow."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
from jax.sharding import Mesh
from rich.console import Console

from qd_fool.commands.common.circumstances import circumstances
from qd_fool.commands.common.settings import outcome
from qd_fool.commands.common.signals import stop_on_signal
from qd_fool.commands.common.together import Together
from qd_fool.commands.evolve.config import EvolveConfig
from qd_fool.commands.evolve.plan import EvolvePlan, plan
from qd_fool.commands.evolve.segment import segment_of
from qd_fool.commands.evolve.start import blank_state
from qd_fool.devices.mesh import make_mesh
from qd_fool.devices.processes import Team, agree, join_team
from qd_fool.errors import UserError
from qd_fool.map_elites.segments import compile_segment
from qd_fool.map_elites.together import follow
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


def facts_to_agree(planned: EvolvePlan, mesh: Mesh) -> dict[str, Any]:
    """What must be equal in all processes, by name.

    Processors of another instruction set round otherwise, and archives would drift apart.

    Args:
      planned: Plan of the run in this process.
      mesh: Devices of all processes.
    """
    found = circumstances(mesh, planned.subject.networks)
    arithmetic = {name: v for name, v in found["arithmetic"].items() if name != "processor"}
    return {
        **outcome(EvolveConfig, planned.record),
        "keep_genomes": planned.keep_genomes,
        "the number of devices": planned.config.devices or jax.local_device_count(),
        "the device": found["device"]["kind"],
        **arithmetic,
        **{f"the version of {name}": version for name, version in found["versions"].items()},
    }


def plan_together(config: EvolveConfig, team: Team, *, loaded: Network | None = None) -> EvolvePlan:
    """The plan of a run, checked for use in several processes.

    Args:
      config: Settings of the run.
      team: The processes.
      loaded: Network, if it has been loaded already.

    Raises:
      UserError: Settings are wrong, or the network runs outside JAX.
    """
    planned = plan(config, loaded=loaded)
    scorer = planned.subject.scorer
    if team.count > 1 and is_on_host(scorer):
        raise UserError(
            f"{scorer.name} runs outside JAX: expected a network of JAX for {team.count} processes"
        )
    return planned


def follow_run(config: EvolveConfig, team: Team, *, console: Console) -> bool:
    """Compute this process's share of a run that process 0 leads. Writes no file.

    Returns:
      Whether a signal that this process got has ended the run.

    Raises:
      UserError: Settings are wrong, differ from those of another process, or a process has ended.
    """
    with taking_part(team):
        planned = plan_together(config, team)
        mesh = make_mesh(planned.config.devices, together=True)
        segment, _ = segment_of(planned, mesh)
    agree(team, facts_to_agree(planned, mesh))
    console.print(f"process {team.index} of {team.count} follows process 0, which shows progress")
    with stop_on_signal() as stop:
        done = follow(
            team,
            lambda state, params: compile_segment(segment, state, params),
            blank_state(planned),
            planned.subject.scorer.params,
            mesh=mesh,
            heard=lambda: stop.number,
        )
        console.print(f"process {team.index} is done after {done:,} generations")
        return bool(stop)
